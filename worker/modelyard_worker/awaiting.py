"""Runs `async def` methods to completion on one event loop that lives as long as the process."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_loop: Any = None


def run(awaitable: Any) -> Any:
    """The result of an awaitable; when the wait is broken off its task is cancelled."""
    global _loop
    import asyncio

    if _loop is None or _loop.is_closed():
        _loop = asyncio.new_event_loop()
        asyncio.set_event_loop(_loop)
    task = _loop.create_task(_finished(awaitable))
    try:
        return _loop.run_until_complete(task)
    except BaseException:
        if not task.done():
            task.cancel()
            try:
                _loop.run_until_complete(asyncio.wait([task], timeout=1))
            except BaseException:
                _loop.close()
        raise


async def _finished(awaitable: Any) -> Any:
    return await awaitable


def settled(value: Any) -> Any:
    """A value as it is, or what it comes to when it has to be awaited."""
    return run(value) if hasattr(type(value), "__await__") else value
