"""Which arguments a user's constructor and methods ask for, read from their signatures."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List, Tuple

VARIABLE_ARGUMENTS, VARIABLE_KEYWORDS = 0x04, 0x08


class Parameters:
    """The names a callable takes, in order; variable ones count as parameters but not by name."""

    __slots__ = ("names", "keyword_only", "variable_keywords", "variable_arguments")

    def __init__(self, names: List[str], keyword_only: List[str], arguments: bool, keywords: bool) -> None:
        self.names = names
        self.keyword_only = keyword_only
        self.variable_arguments = arguments
        self.variable_keywords = keywords

    @property
    def count(self) -> int:
        """How many parameters the signature shows."""
        return len(self.names) + len(self.keyword_only) + self.variable_arguments + self.variable_keywords

    def named(self, name: str) -> bool:
        """Whether the signature has a parameter of this name."""
        return name in self.names or name in self.keyword_only


def parameters(function: Any) -> Parameters:
    """The parameters of a function or a bound method; a decorated one shows what it wraps."""
    bound = getattr(function, "__self__", None) is not None
    plain = getattr(function, "__func__", function)
    code = getattr(plain, "__code__", None)
    if code is None or hasattr(plain, "__wrapped__") or hasattr(plain, "__signature__"):
        return _inspected(function)
    names = list(code.co_varnames[: code.co_argcount])
    extra = list(code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount])
    arguments, keywords = bool(code.co_flags & VARIABLE_ARGUMENTS), bool(code.co_flags & VARIABLE_KEYWORDS)
    return Parameters(names[1:] if bound else names, extra, arguments, keywords)


def _inspected(function: Any) -> Parameters:
    from inspect import Parameter, signature

    shown = list(signature(function).parameters.values())
    kinds = [parameter.kind for parameter in shown]
    return Parameters(
        [p.name for p in shown if p.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)],
        [p.name for p in shown if p.kind == Parameter.KEYWORD_ONLY],
        Parameter.VAR_POSITIONAL in kinds,
        Parameter.VAR_KEYWORD in kinds,
    )


def constructor_names(kind: Any) -> Tuple[str, ...]:
    """Which of `base_directory` and `context` the constructor is to be given."""
    init = getattr(kind, "__init__", None)
    own_new = getattr(kind, "__new__", None) is not object.__new__
    if not isinstance(kind, type) or type(kind) is not type or own_new or not hasattr(init, "__code__"):
        if init is object.__init__ and not own_new and type(kind) is type:
            return ()
        shown = _inspected(kind)
    else:
        shown = parameters(init)
        shown.names = shown.names[1:]
    wanted = ("base_directory", "context")
    if shown.variable_keywords:
        return wanted
    return tuple(name for name in wanted if shown.named(name))


def takes_context(function: Any) -> str:
    """How a method takes `context`: "" not at all, else "second", "first" or "keyword".

    Only with exactly two parameters, one of them called `context`.
    """
    try:
        shown = parameters(function)
    except Exception:  # a callable that hides its signature
        return ""
    if shown.count != 2 or not shown.named("context"):
        return ""
    if "context" in shown.keyword_only:
        return "keyword"
    return "first" if shown.names[0] == "context" else "second"
