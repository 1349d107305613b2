"""Read the part of TOML that config.toml needs: Python before 3.11 has no tomllib, and its import takes 3 ms.

It reads strings on one line, booleans, decimal numbers, arrays of strings, comments and bare keys. A test shows that
tomllib reads these in the same way. Everything else is left to tomllib, if there is one.
"""

from __future__ import annotations

import re
import sys

from . import importing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Token = tuple[str, str]

_TOKEN = re.compile(
    r"""
      (?P<blank>    [ \t]+ | \#[^\x00-\x08\x0a-\x1f\x7f]* )
    | (?P<end>      \n )
    | (?P<basic>    "(?: [^"\\\x00-\x08\x0a-\x1f\x7f] | \\["\\bfnrt] )*" )
    | (?P<literal>  '[^'\x00-\x08\x0a-\x1f\x7f]*' )
    | (?P<number>   [+-]?(?:0|[1-9][0-9]*)(?:\.[0-9]+)? (?![\w.:+-]) )
    | (?P<word>     [A-Za-z_][A-Za-z0-9_-]* )
    | (?P<sign>     [=\[\],] )
    """,
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_EQUALS, _COMMA, _OPEN, _CLOSE, _END = ("sign", "="), ("sign", ","), ("sign", "["), ("sign", "]"), ("end", "\n")


class NotReadError(ValueError):
    """The text uses something that this reader does not know.

    The message names the line, but does not show it, because it may hold a password (`proxy`, `share_notify`).
    """


def parse(text: str) -> dict[str, Any]:
    """Parse a text in TOML. Raises ValueError if it is not TOML, RecursionError if it is nested too deeply."""
    try:
        return read(text)
    except NotReadError as error:
        if sys.version_info >= (3, 11):
            with importing:
                import tomllib

            return tomllib.loads(text)
        raise NotReadError(f"{error}; all of TOML is read from Python 3.11 on") from None


def read(text: str) -> dict[str, Any]:
    """Parse a text without tomllib. Raises NotReadError if this reader does not know something in it."""
    tokens = _Tokens(text.replace("\r\n", "\n"))
    try:
        return _table(tokens)
    except NotReadError as error:
        raise NotReadError(f"{error}, in {tokens.line()}") from None


def _table(tokens: Iterator[Token]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for kind, key in tokens:
        if kind == "end":
            continue
        if kind != "word" or key in table or next(tokens) != _EQUALS:
            raise NotReadError("no `key = value`, or a key twice")
        try:
            table[key] = _value(next(tokens), tokens)
        except NotReadError as error:
            raise NotReadError(f"{key} is {error}") from None
        if next(tokens) != _END:
            raise NotReadError(f"more than one value of {key}")
    return table


class _Tokens:
    """The tokens of a text: pairs of a kind and a text. Two line ends are added at the end."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = self._next = 0  # where the last token begins, and the next one
        self._ends = 0  # line ends that were added

    def __iter__(self) -> Iterator[Token]:
        return self

    def __next__(self) -> Token:
        while self._next < len(self._text):
            self._at = self._next
            found = _TOKEN.match(self._text, self._at)
            if found is None:
                raise NotReadError("something that is not read here")
            self._next = found.end()
            if found.lastgroup != "blank":
                return str(found.lastgroup), found.group()
        self._ends += 1
        if self._ends > 2:
            raise StopIteration
        return _END

    def line(self) -> str:
        """The line of the last token, as "line 3"."""
        return f"line {self._text.count(chr(10), 0, self._at) + 1}"


def _value(token: Token, tokens: Iterator[Token]) -> Any:
    kind, text = token
    if kind in ("basic", "literal"):
        return _string(token)
    if kind == "number":
        return float(text) if "." in text else int(text)
    if text in ("true", "false"):
        return text == "true"
    if token != _OPEN:
        raise NotReadError("neither a string, a number, a boolean nor an array of strings")
    return _array(tokens)


def _array(tokens: Iterator[Token]) -> list[str]:
    """Parse an array of strings, after its opening bracket."""
    values: list[str] = []
    follows_comma = True  # or begins the array
    for token in tokens:
        if token == _CLOSE:
            return values
        if token == _COMMA and not follows_comma:
            follows_comma = True
        elif token[0] in ("basic", "literal") and follows_comma:
            values.append(_string(token))
            follows_comma = False
        elif token != _END:
            break
    raise NotReadError("an array that is not one of strings, or does not end")


def _string(token: Token) -> str:
    kind, text = token
    inner = text[1:-1]
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), inner) if kind == "basic" else inner
