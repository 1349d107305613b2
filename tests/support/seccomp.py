"""System calls that fail, as they do on odd kernels and file systems: by a real seccomp filter, for good."""

from __future__ import annotations

import ctypes
import os

_NUMBERS = {"x86_64": 73, "aarch64": 32}  # of flock
_SET_NO_NEW_PRIVILEGES, _SET_SECCOMP, _MODE_FILTER = 38, 22, 2
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_FAIL, _ALLOW = 0x0005_0000, 0x7FFF_0000

supported = os.name == "posix" and os.uname().sysname == "Linux" and os.uname().machine in _NUMBERS


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
    instructions = (_Instruction * 4)(
        (_LOAD, 0, 0, 0),
        (_JUMP_IF_EQUAL, 0, 1, _NUMBERS[os.uname().machine]),
        (_RETURN, 0, 0, _FAIL | number),
        (_RETURN, 0, 0, _ALLOW),
    )
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in (
        (_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0),
        (_SET_SECCOMP, _MODE_FILTER, ctypes.byref(_Program(4, instructions)), 0, 0),
    ):
        if libc.prctl(*arguments):
            raise OSError(ctypes.get_errno(), "seccomp")
