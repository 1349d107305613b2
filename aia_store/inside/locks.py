"""Locks between processes, by files that the system unlocks when a process dies. Also locks between threads.

A wait here blocks the thread with all its greenlets. Within OpenSSL's callback, we must not switch to another greenlet:
it could wait for a lock of OpenSSL that only the first greenlet can release. gevent and eventlet replace functions of
`time` and `_thread` with functions that switch, so we use the interpreter's own functions.
"""

from __future__ import annotations

import _thread
import errno
import os
import sys
import time
from types import BuiltinFunctionType

from . import importing, unless_interrupted
from .store import LOCKS, READ_FLAGS

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any, Protocol

    class Lockable(Protocol):
        """The attributes and methods of a store's folder that `Lock` uses."""

        @property
        def path(self) -> str: ...

        def make(self, *parts: str) -> str: ...


_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
_FIRST_WAIT, _LONGEST_WAIT = 0.002, 0.05  # seconds
# The error if another process holds a lock: from flock, or from Windows (EACCES); Wine gives none.
_BUSY = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, 0)


def as_built(module: ModuleType, name: str) -> Any:
    """The original function of this name in a built-in module, even if a library such as gevent has replaced it."""
    found = getattr(module, name)
    if isinstance(found, BuiltinFunctionType):
        return found
    with importing:
        from importlib.machinery import BuiltinImporter
        from importlib.util import module_from_spec

    spec = BuiltinImporter.find_spec(module.__name__)  # for a second instance of the module, which is only ours
    assert spec is not None
    another = module_from_spec(spec)
    BuiltinImporter.exec_module(another)
    return getattr(another, name)


sleep: Callable[[float], None] = as_built(time, "sleep")
new_lock: Callable[[], _thread.LockType] = as_built(_thread, "allocate_lock")

_held: dict[int, Lock] = {}  # by descriptor
_turns: dict[str, _thread.LockType] = {}  # the locks of this process that are taken, by name


class LockError(Exception):
    """No lock is possible here: the folder cannot be written, or its file system has no locks."""


class Lock:
    """A lock between processes: a locked file. `release` removes the file, except on Windows.

    If somebody else removes the file (or its folder) earlier, another process may make and lock a new file.
    """

    def __init__(self, folder: Lockable, name: str) -> None:
        """Open the file of the lock, but do not take the lock yet. Raises LockError if the folder cannot be written."""
        self._folder = folder.path
        try:
            self._path = os.path.join(folder.make(LOCKS), name)
            self._descriptor = os.open(self._path, _FLAGS, 0o600)
        except unless_interrupted(OSError) as error:
            raise LockError(f"{folder.path} cannot be written ({error.strerror})") from error
        _held[self._descriptor] = self

    def take(self) -> bool:
        """Take the lock, if it is free. Returns whether it was. Raises LockError if the file system has no locks."""
        try:
            if sys.platform == "win32":
                msvcrt.locking(self._descriptor, msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except unless_interrupted(OSError) as error:
            if error.errno in _BUSY:
                return False
            self._remove()  # no process can hold it
            raise LockError(f"{self._folder} knows no file locks ({error.strerror})") from error

    def is_in_place(self) -> bool:
        """Whether the file that we opened is still there. A process that releases the lock removes its file."""
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(self._descriptor))
        except unless_interrupted(OSError):
            return False

    def release(self) -> None:
        """Release the lock. In a forked child, this does nothing, because the parent holds the lock."""
        if _held.get(self._descriptor) is self:
            if self.is_in_place():
                self._remove()  # Windows keeps an open file, which is empty
            self.close(unlock=True)

    def close(self, *, unlock: bool = False) -> None:
        """Close the file. If a forked child has the file open too, `unlock` must be true to release the lock."""
        if _held.pop(self._descriptor, None) is not self:
            return
        try:
            if unlock and sys.platform != "win32":
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        finally:
            os.close(self._descriptor)

    def _remove(self) -> None:
        try:
            os.unlink(self._path)
        except unless_interrupted(OSError):
            pass


class Turn:
    """A lock between the threads of this process, held until `release`."""

    def __init__(self, name: str, held: _thread.LockType) -> None:
        self._name = name
        self._held = held

    def release(self) -> None:
        """Release the lock. Another thread can take it then."""
        if _turns.get(self._name) is self._held:
            del _turns[self._name]  # a waiting thread notices this, and makes a new lock
        self._held.release()


def acquire(folder: Lockable, name: str, deadline: float, sleep: Callable[[float], None] = sleep) -> Lock | None:
    """Wait for a lock until `deadline` (monotonic); None if it stays taken. Raises LockError if files have no locks."""
    wait = _FIRST_WAIT
    left = deadline - time.monotonic()  # then counted down by us, because some tests of programs stop the clock
    while True:
        lock = Lock(folder, name)
        is_had = False
        try:
            is_free = lock.take()
            is_had = is_free and lock.is_in_place()
        finally:
            if not is_had:
                lock.close()
        if is_had:
            return lock
        if not is_free:
            if wait > left:
                return None
            sleep(wait)
            left -= wait
            wait = min(2 * wait, _LONGEST_WAIT)


def is_held(path: str) -> bool | None:
    """Whether a living process holds the lock of this file; None if that is unknown."""
    if sys.platform == "win32":
        return None
    try:
        descriptor = os.open(path, READ_FLAGS)
    except FileNotFoundError:
        return False
    except unless_interrupted(OSError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except unless_interrupted(OSError):
        return True
    finally:
        os.close(descriptor)


def acquire_in_process(name: str, deadline: float) -> Turn | None:
    """Like `acquire`, but the lock is only between the threads of this process. Use it if no file can be locked."""
    while True:
        mine = _turns.setdefault(name, new_lock())
        if not mine.acquire(timeout=max(0.0, deadline - time.monotonic())):
            return None
        if _turns.get(name) is mine:
            return Turn(name, mine)
        mine.release()  # its holder removed it from `_turns` while we waited


def _forget_in_child() -> None:
    """In a forked child, forget all locks, because the parent holds them, not the child."""
    _turns.clear()
    for lock in list(_held.values()):
        try:
            lock.close()
        except unless_interrupted(OSError):
            pass
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
