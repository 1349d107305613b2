"""Wait inside OpenSSL's callback: never past a deadline, and never swallowing what a signal handler raises."""

from __future__ import annotations

import _thread
import time

from . import Interrupted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")


def interruptible(wait: Callable[[], T]) -> T:
    """Do something that only waits: what it raises is a signal handler's, and leaves as Interrupted."""
    try:
        return wait()
    except BaseException as error:
        raise Interrupted(error) from None


def in_a_thread(work: Callable[[], T], deadline: float) -> T:
    """Let a thread do what may hang beyond any time limit, as looking up a name does.

    Raises what the work raises, and TimeoutError at the deadline (on the monotonic clock); the thread is then left
    to itself.
    """
    outcome: list[T] = []
    failure: list[Exception] = []
    done = _thread.allocate_lock()
    done.acquire()

    def run() -> None:
        try:
            outcome.append(work())
        except Exception as error:
            failure.append(error)
        finally:
            done.release()

    _thread.start_new_thread(run, ())
    interruptible(lambda: done.acquire(timeout=max(0.0, deadline - time.monotonic())))
    if failure:
        raise failure[0]
    if not outcome:
        raise TimeoutError("timed out")
    return outcome[0]
