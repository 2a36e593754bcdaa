"""Runs `async def` methods to completion on one event loop that lives as long as the process."""

from __future__ import annotations

from .cancelled import Cancelled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _Waiting:
    """The wait in progress: at most one, in the main thread."""

    loop: Any = None
    task: Any = None
    busy = False
    cancelled = False


def settled(value: Any) -> Any:
    """A value as it is, or what it comes to when it has to be awaited."""
    return _run(value) if hasattr(type(value), "__await__") else value


def deflect() -> bool:
    """Cancels the wait in progress the way asyncio has it; False when an exception will do.

    Raised between the loop's own steps an exception would be lost or leave it broken, so
    only a step of user code is interrupted by one.
    """
    if not _Waiting.busy:
        return False
    if _Waiting.task is not None:
        import asyncio

        if asyncio.current_task(_Waiting.loop) is not None:
            return False
        _Waiting.loop.call_soon_threadsafe(_Waiting.task.cancel)
    _Waiting.cancelled = True
    return True


def _run(awaitable: Any) -> Any:
    _Waiting.cancelled = False
    _Waiting.busy = True
    try:
        return _wait(awaitable)
    finally:
        _Waiting.busy = False
        _Waiting.task = None
        if hasattr(awaitable, "close"):
            awaitable.close()  # a coroutine that never began would complain


def _wait(awaitable: Any) -> Any:
    import asyncio

    if _Waiting.loop is None or _Waiting.loop.is_closed():
        _Waiting.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(_Waiting.loop)
    loop = _Waiting.loop
    task = _Waiting.task = loop.create_task(_finished(awaitable))
    if _Waiting.cancelled:  # while all this was prepared
        task.cancel()
    try:
        return loop.run_until_complete(task)
    except BaseException as error:
        if not task.done():
            _give_up(loop, task)
        if _Waiting.cancelled and isinstance(error, asyncio.CancelledError):
            raise Cancelled from None
        raise


def _give_up(loop: Any, task: Any) -> None:
    """Lets a task that was left in the middle end its own way, for a moment."""
    import asyncio

    task.cancel()
    try:
        loop.run_until_complete(asyncio.wait([task], timeout=1))
    except BaseException:
        loop.close()


async def _finished(awaitable: Any) -> Any:
    return await awaitable
