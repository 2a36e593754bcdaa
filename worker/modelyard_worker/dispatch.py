"""Which method gets which payload, decided once: the matrix of `request` and `requests`."""

from __future__ import annotations

from . import signatures
from .awaiting import settled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Optional

    Context = Optional[Dict[str, Any]]
    Invoke = Callable[[Any, Context], Any]


class NoMethod(Exception):
    """The class has nothing to call."""


class Dispatch:
    """The ways into one deployment."""

    def __init__(self, deployment: Any) -> None:
        request = _method(deployment, "request")
        requests = _method(deployment, "requests")
        self.has_request = request is not None
        self.has_requests = requests is not None
        #: Whether any method wants a context; if not, its JSON is never read.
        self.wants_context = any(m is not None and signatures.takes_context(m) != "" for m in (request, requests))
        #: The method itself, where a single payload needs nothing around it.
        self.direct = request if request is not None and signatures.takes_context(request) == "" else None
        one = None if request is None else _taking(request)
        all_at_once = None if requests is None else _taking(requests)
        self.single: Invoke = one or (_as_list(all_at_once) if all_at_once else _nothing)
        self.many: Invoke = all_at_once or (_each(one) if one else _nothing)


def _method(deployment: Any, name: str) -> Any:
    method = getattr(deployment, name, None)
    return method if callable(method) else None


def _taking(method: Callable[..., Any]) -> Invoke:
    """The method with the worker's two arguments, of which it gets those it asks for."""
    way = signatures.takes_context(method)
    if way == "second":
        return lambda value, context: settled(method(value, context))
    if way == "first":
        return lambda value, context: settled(method(context, value))
    if way == "keyword":
        return lambda value, context: settled(method(value, context=context))
    return lambda value, context: settled(method(value))


def _as_list(requests: Invoke) -> Invoke:
    """A single payload for a class that has only `requests`: a list of one, and its one answer back."""

    def single(value: Any, context: Context) -> Any:
        answers = requests([value], context)
        return answers[0] if isinstance(answers, (list, tuple)) and len(answers) == 1 else answers

    return single


def _each(request: Invoke) -> Invoke:
    """A list for a class that has only `request`: one call for each item."""
    return lambda values, context: [request(value, context) for value in values]


def _nothing(_value: Any, _context: Context) -> Any:
    raise NoMethod("The class 'Deployment' has neither a method 'request' nor a method 'requests'")
