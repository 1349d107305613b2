"""Locks between processes, by files that the system unlocks when their holder dies; locks between threads otherwise.

A wait here blocks the thread, with all its greenlets. Within OpenSSL's callback, a greenlet must not switch to another:
that one could wait for a lock of OpenSSL that only the first can release. gevent and eventlet replace functions of
`time` and `_thread` with functions that switch, so we use the interpreter's own.
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
        """The part of a store folder that a lock needs."""

        @property
        def path(self) -> str: ...

        def make(self, *parts: str) -> str: ...


_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
_FIRST_WAIT, _LONGEST_WAIT = 0.002, 0.05  # seconds
# The error if another process holds a lock: from flock, or from Windows (EACCES); Wine gives none.
_BUSY = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, 0)


def as_built(module: ModuleType, name: str) -> Any:
    """A function of a built-in module, as it was before anybody replaced it."""
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
    """A lock held by this process until `release`; its file is gone afterwards, except on Windows.

    If somebody removes the file (or the whole folder) meanwhile, another process may make a new one and take the lock.
    """

    def __init__(self, folder: Lockable, name: str) -> None:
        """Open the file of the lock. Raises LockError."""
        self._folder = folder.path
        try:
            self._path = os.path.join(folder.make(LOCKS), name)
            self._descriptor = os.open(self._path, _FLAGS, 0o600)
        except unless_interrupted(OSError) as error:
            raise LockError(f"{folder.path} cannot be written ({error.strerror})") from error
        _held[self._descriptor] = self

    def take(self) -> bool:
        """Try to take the lock; returns whether this process holds it now. Raises LockError."""
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
        """Whether our file still has its name: a process that releases the lock removes the file."""
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(self._descriptor))
        except unless_interrupted(OSError):
            return False

    def release(self) -> None:
        """Release the lock. Does nothing in a forked child, because the parent holds it."""
        if _held.get(self._descriptor) is self:
            if self.is_in_place():
                self._remove()  # Windows keeps an open file, which is empty
            self.close(unlock=True)

    def close(self, *, unlock: bool = False) -> None:
        """Close the file. If a forked child has it open too, it stays locked unless `unlock` is true."""
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
        """Let another thread have it."""
        if _turns.get(self._name) is self._held:
            del _turns[self._name]  # a waiting thread notices this, and makes a new lock
        self._held.release()


def acquire(folder: Lockable, name: str, deadline: float, sleep: Callable[[float], None] = sleep) -> Lock | None:
    """Wait until `deadline` (on the monotonic clock) for this lock; None if it stays taken. Raises LockError."""
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
    """Like `acquire`, but between the threads of this process. Use this if no file can be locked."""
    while True:
        mine = _turns.setdefault(name, new_lock())
        if not mine.acquire(timeout=max(0.0, deadline - time.monotonic())):
            return None
        if _turns.get(name) is mine:
            return Turn(name, mine)
        mine.release()  # its holder removed it from `_turns` while we waited


def _forget_in_child() -> None:
    """A forked child holds none of the locks of its parent or of the parent's other threads."""
    _turns.clear()
    for lock in list(_held.values()):
        try:
            lock.close()
        except unless_interrupted(OSError):
            pass
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
