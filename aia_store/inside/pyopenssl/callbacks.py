"""Does a program's verify callback ask for OpenSSL's verdict at all?

A callback that never reads it accepts everybody (Scrapy's does, and `lambda *_: True`): such a program needs no path,
and to fetch one would only keep it waiting. Whether a callback reads its arguments stands in its bytecode, so that
nobody has to call it.
"""

from __future__ import annotations

import dis

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType

TAKES = 5  # arguments: connection, certificate, error number, depth, and whether OpenSSL accepts
_HAS_VARIABLE_ARGUMENTS = 0x04 | 0x08  # CO_VARARGS, CO_VARKEYWORDS
_READS = ("LOAD_", "STORE_FAST_LOAD_")  # and not STORE_ or DELETE_


def ignores_the_verdict(code: CodeType) -> bool:
    """Whether a verify callback reads neither the error number nor whether OpenSSL accepts."""
    return _may_tell(code).isdisjoint(_read_by(code))


def _may_tell(code: CodeType) -> set[str]:
    """The parameters that bring the verdict: of five, the third and the fifth; else, as in a method, perhaps any."""
    if code.co_argcount == TAKES and not code.co_flags & _HAS_VARIABLE_ARGUMENTS:
        return {code.co_varnames[2], code.co_varnames[4]}
    return set(code.co_varnames)


def _read_by(code: CodeType) -> set[str]:
    read = set(code.co_cellvars)  # by a function within
    for instruction in dis.get_instructions(code):
        if instruction.opname.startswith(_READS) and "FAST" in instruction.opname:
            names = instruction.argval
            read.update(names if isinstance(names, tuple) else (names,))
    return read
