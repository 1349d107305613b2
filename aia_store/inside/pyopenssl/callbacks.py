"""Whether a program's verify callback uses OpenSSL's verdict at all. Its bytecode tells.

A callback that never reads the verdict accepts every certificate, like Scrapy's, or `lambda *_: True`.
"""

from __future__ import annotations

import dis

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType

TAKES = 5  # arguments: connection, certificate, error number, depth, and whether OpenSSL accepted
_HAS_VARIABLE_ARGUMENTS = 0x04 | 0x08  # CO_VARARGS, CO_VARKEYWORDS
_READS = ("LOAD_", "STORE_FAST_LOAD_")  # but not STORE_ or DELETE_


def ignores_the_verdict(code: CodeType) -> bool:
    """Whether a verify callback never reads OpenSSL's verdict: the error number, and whether OpenSSL accepted."""
    return _may_tell(code).isdisjoint(_read_by(code))


def _may_tell(code: CodeType) -> set[str]:
    """The parameters that may hold the verdict. If there are exactly five, these are the third and fifth, else all."""
    if code.co_argcount == TAKES and not code.co_flags & _HAS_VARIABLE_ARGUMENTS:
        return {code.co_varnames[2], code.co_varnames[4]}
    return set(code.co_varnames)


def _read_by(code: CodeType) -> set[str]:
    read = set(code.co_cellvars)  # an inner function reads these
    for instruction in dis.get_instructions(code):
        if instruction.opname.startswith(_READS) and "FAST" in instruction.opname:
            names = instruction.argval
            read.update(names if isinstance(names, tuple) else (names,))
    return read
