"""The reader of config.toml: if it accepts a text, tomllib reads the same."""

from __future__ import annotations

import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aia_store.inside import toml

DOCUMENTED = """
# The machine's.
dir = "/var/cache/aia-store"   # a comment
roots = 'C:\\roots.pem'
allowed_networks = [
    "10.0.0.0/8",  # the office
    'fd00::/8',
]
offline = true
disable=false
async_budget = 0.5
unused_days = +90
revocation_lists = []
log = "tab\\t and \\"quotes\\" # no comment"
"""

PIECES = [
    *("a", "b-c", "_d", "true", "false", "truer", "inf", "nan", "0", "-0", "+1", "01", "1_0", "1.5", "1.", ".5", "1e3"),
    *("0x1", "1979-05-27", "07:32:00", "1.2.3", "5#", "=", "==", ",", "[", "]", "[[", "]]", "{", "}", ".", "#", "# c"),
    *('"', "'", '""', "''", '"x"', "'y'", '"""', "'''", '"\\n"', '"\\q"', '"\\u0041"', '"\\ud800"', "'\\'"),
    *("\n", "\r\n", "\r", "\t", " ", "\0", "\x1f", "\x7f", "\x85", "\ufeff", "\u2028", "\u0661", "é", "9" * 5000),
]
KEY = st.sampled_from(["a", "b-c", "_d", "true", "1", '"q"', "a.b"])
VALUE = st.sampled_from(
    [*PIECES[:34], '"x"', "'y'", '["x"]', "[]", '[\n"x",\n]', "[1]", "[[]]", '["x" "y"]', "[,]", '["",,]']
)
LINE = st.builds("{} = {}{}".format, KEY, VALUE, st.sampled_from(["", " ", "#", " # c", " 1", "\r"]))
TEXT = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join),
    st.lists(LINE, max_size=4).map("\n".join),
    st.text(max_size=30),
)


def test_it_reads_all_that_the_documents_show() -> None:
    assert toml.read(DOCUMENTED) == {
        "dir": "/var/cache/aia-store",
        "roots": "C:\\roots.pem",
        "allowed_networks": ["10.0.0.0/8", "fd00::/8"],
        "offline": True,
        "disable": False,
        "async_budget": 0.5,
        "unused_days": 90,
        "revocation_lists": [],
        "log": 'tab\t and "quotes" # no comment',
    }


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib comes with Python 3.11")
@settings(max_examples=3_000, deadline=None)
@given(TEXT)
@example(DOCUMENTED)
@example("a = 'x'\r\nb-c = [ \r\n ]\r\n")
@example("a = 1\na = 1")
@example("a = ")
@example("a")
def test_what_it_accepts_means_the_same_to_tomllib(text: str) -> None:
    import tomllib

    try:
        read = toml.read(text)
    except ValueError:
        return
    assert repr(read) == repr(tomllib.loads(text))


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib comes with Python 3.11")
def test_what_it_does_not_know_is_left_to_tomllib() -> None:
    assert toml.parse('a = """\nlong"""\nb = 0x10\n"c" = "\\u0041"') == {"a": "long", "b": 16, "c": "A"}


@pytest.mark.parametrize(
    "line", ["unused_days = 0x10", "[dir]", "dir = = 1", "dir =", "dir", "dir = 1 2", "offline = false", "dir = ['x'"]
)
@pytest.mark.parametrize("end", ["", "\n"])
def test_the_line_that_is_not_read_is_named(line: str, end: str) -> None:
    with pytest.raises(ValueError, match=r"line 2$"):
        toml.read(f"offline = true\n{line}{end}")


@pytest.mark.parametrize(
    "value", ["URL", '"URL', "'URL' x", '{url = "URL"}', '["URL"', '["URL", 1]', '"URL"\nproxy = "URL"', '"\\x" # URL']
)
@pytest.mark.parametrize("begin", ["proxy = ", "proxy : ", "", '"URL" = '])
def test_a_line_with_a_password_is_not_shown(begin: str, value: str) -> None:
    with pytest.raises(ValueError, match=r"line [12]$") as raised:
        toml.read(f"{begin}{value}\n".replace("URL", "http://me:s3cret@proxy.example:3128"))
    assert "cret" not in str(raised.value)
