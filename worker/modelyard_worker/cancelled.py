"""The exception that breaks off a cancelled call."""


class Cancelled(KeyboardInterrupt):
    """Raised in user code whose request was cancelled.

    No `Exception`, so that few handlers catch it; a `KeyboardInterrupt`, because libraries
    (asyncio among them) let that one through and swallow other `BaseException`s.
    """
