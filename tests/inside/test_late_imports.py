"""Whatever is imported in the midst of a program is imported under `importing`, which a fork waits for.

The lock of a module that another thread is importing stays locked in a forked child.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

import aia_store.inside
from tests.conftest import MakeHierarchy
from tests.inside.harm.conftest import UNKNOWN, answer
from tests.support.pki import Authority
from tests.support.servers import TLSServer

INSIDE = Path(aia_store.inside.__file__).parent
ALWAYS_THERE = {"ssl", "_socket", "_thread"}  # once a program uses TLS


def unguarded(node: ast.AST, *, is_late: bool = False) -> Iterator[str]:
    """The modules that functions below this node import without `importing`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.With) and ast.unparse(child.items[0]) == "importing":
            continue
        if is_late and isinstance(child, ast.Import):
            yield from (name.name for name in child.names)
        elif is_late and isinstance(child, ast.ImportFrom):
            yield child.module or "."
        yield from unguarded(child, is_late=is_late or isinstance(child, (ast.FunctionDef, ast.Lambda)))


@pytest.mark.parametrize("file", [pytest.param(file, id=file.name) for file in sorted(INSIDE.rglob("*.py"))])
def test_every_late_import_of_ours_is_guarded(file: Path) -> None:
    assert set(unguarded(ast.parse(file.read_text(encoding="utf-8")))) <= ALWAYS_THERE


SEEN = """
from aia_store.inside import importing

seen = []

class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        frame = sys._getframe()
        while frame is not None and not frame.f_globals["__name__"].startswith("aia_store.inside"):
            frame = frame.f_back
        if frame is not None and not importing._is_owned():
            seen.append([name, frame.f_globals["__name__"]])

context = ssl.create_default_context(cafile=sys.argv[1])
sys.meta_path.insert(0, Finder)
said = [meet(context, port) for port in sys.argv[2:]]
print(json.dumps([said, seen]))
"""


def test_nothing_is_imported_in_a_handshake_without_the_guard(store: Path, hierarchy: MakeHierarchy) -> None:
    """Python itself imports codecs and the like for us."""
    pki = hierarchy()
    kinds = (_ASN1Type.BMPString, _ASN1Type.UniversalString)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Кириллица", kind) for kind in kinds])
    stranger = Authority.root("Stranger").intermediate(name, aia=["http://127.0.0.1:1/none.cer"])
    with TLSServer(pki.leaf) as broken, TLSServer(stranger.leaf(), [stranger]) as unknown:
        said, seen = answer(SEEN, pki.cafile, broken.port, broken.port, unknown.port)
    assert said == ["ok", "ok", UNKNOWN]
    assert seen == []
