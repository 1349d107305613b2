"""Wait inside OpenSSL's callback: never past a deadline, and never swallowing what a signal handler raises.

Nor may a greenlet switch to another there: the next would enter OpenSSL on a stack that has not left it, and wait for
locks that only the first can release. gevent and eventlet put switching functions into `time` and `_thread`, so what
waits here is the interpreter's own. The thread, with all its greenlets, then stands still; but not past the deadline.
"""

from __future__ import annotations

import _thread
import time
from types import BuiltinFunctionType

from . import Interrupted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any, TypeVar

    T = TypeVar("T")

_originals: dict[str, ModuleType] = {}


def interruptible(wait: Callable[[], T]) -> T:
    """Do something that only waits: what it raises is a signal handler's, and leaves as Interrupted."""
    try:
        return wait()
    except BaseException as error:
        raise Interrupted(error) from None


def sleep(seconds: float) -> None:
    """Sleep, the whole thread."""
    interruptible(lambda: _as_built(time, "sleep")(seconds))


def lock() -> _thread.LockType:
    """A lock whose `acquire` stops the whole thread."""
    made: _thread.LockType = _as_built(_thread, "allocate_lock")()
    return made


def in_a_thread(work: Callable[[], T], deadline: float) -> T:
    """Let a thread do what may hang beyond any time limit, as looking up a name does.

    Raises what the work raises, and TimeoutError at the deadline (on the monotonic clock); the thread is then left
    to itself.
    """
    outcome: list[T] = []
    failure: list[Exception] = []
    done = lock()
    done.acquire()

    def run() -> None:
        try:
            outcome.append(work())
        except Exception as error:
            failure.append(error)
        finally:
            done.release()

    _as_built(_thread, "start_new_thread")(run, ())
    interruptible(lambda: done.acquire(timeout=max(0.0, deadline - time.monotonic())))
    if failure:
        raise failure[0]
    if not outcome:
        raise TimeoutError("timed out")
    return outcome[0]


def _as_built(module: ModuleType, name: str) -> Any:
    """A function of a built-in module, as it was before anybody put another in its place."""
    found = getattr(module, name)
    if isinstance(found, BuiltinFunctionType):
        return found
    if module.__name__ not in _originals:
        from importlib.machinery import BuiltinImporter
        from importlib.util import module_from_spec

        # A second instance of the module, which nobody else sees.
        spec = BuiltinImporter.find_spec(module.__name__)
        assert spec is not None
        _originals[module.__name__] = module_from_spec(spec)
        BuiltinImporter.exec_module(_originals[module.__name__])
    return getattr(_originals[module.__name__], name)
