"""System calls that fail, as they do on odd kernels and file systems: by a real seccomp filter, for good."""

from __future__ import annotations

import ctypes
import errno
import os
import sys

_MACHINES = {"x86_64": (73, 56, 435), "aarch64": (32, 220, 435)}  # the numbers of flock, clone and clone3
_SET_NO_NEW_PRIVILEGES, _SET_SECCOMP, _MODE_FILTER = 38, 22, 2
_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_SET, _RETURN = 0x20, 0x15, 0x45, 0x06
_FAIL, _ALLOW = 0x0005_0000, 0x7FFF_0000
_FIRST_ARGUMENT = 16  # where the filter finds its lower half; the number of the call is at 0
_CLONE_THREAD = 0x10000

_WITHOUT_THREADS = """
import os, runpy, sys
runpy.run_path(sys.argv[1])["no_thread_can_be_started"]()
os.execvp(sys.argv[2], sys.argv[2:])
"""
#: Starts another program, by exec, which cannot start a thread.
WITHOUT_THREADS = (sys.executable, "-c", _WITHOUT_THREADS, __file__)

supported = os.name == "posix" and os.uname().sysname == "Linux" and os.uname().machine in _MACHINES


class _Instruction(ctypes.Structure):
    _fields_ = [  # ctypes wants it so
        ("code", ctypes.c_ushort),
        ("if_true", ctypes.c_ubyte),
        ("if_false", ctypes.c_ubyte),
        ("value", ctypes.c_uint),
    ]


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.POINTER(_Instruction))]


def flock_fails_with(number: int) -> None:
    """From now on every flock of this process fails with this errno."""
    flock, _, _ = _MACHINES[os.uname().machine]
    _install((_LOAD, 0, 0, 0), (_JUMP_IF_EQUAL, 0, 1, flock), (_RETURN, 0, 0, _FAIL | number), (_RETURN, 0, 0, _ALLOW))


def no_thread_can_be_started() -> None:
    """From now on no thread can be started in this process; processes can."""
    _, clone, clone3 = _MACHINES[os.uname().machine]
    _install(
        (_LOAD, 0, 0, 0),
        (_JUMP_IF_EQUAL, 0, 1, clone3),
        (_RETURN, 0, 0, _FAIL | errno.ENOSYS),  # its flags are out of reach; the C library uses clone instead
        (_JUMP_IF_EQUAL, 0, 3, clone),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_JUMP_IF_SET, 0, 1, _CLONE_THREAD),
        (_RETURN, 0, 0, _FAIL | errno.EAGAIN),
        (_RETURN, 0, 0, _ALLOW),
    )


def _install(*instructions: tuple[int, int, int, int]) -> None:
    program = (_Instruction * len(instructions))(*instructions)
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in (
        (_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0),
        (_SET_SECCOMP, _MODE_FILTER, ctypes.byref(_Program(len(instructions), program)), 0, 0),
    ):
        if libc.prctl(*arguments):
            raise OSError(ctypes.get_errno(), "seccomp")
