"""Code that looks at a context, or at `ssl` itself, sees what plain Python shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import FLAGS, MakeHierarchy, whole_package, write_pem
from tests.inside.contexts.files import file_of, trusted_pem
from tests.inside.harm.conftest import Sites, answer, constrained_chain, with_and_without
from tests.support.ca_files import large_ca_file
from tests.support.pki import Authority, pem
from tests.support.servers import TLSServer

#: Of OpenSSL 3.2 and later: declines compressed certificates (RFC 8879), the one bit of ours that may be seen.
NO_COMPRESSED_CERTIFICATES = 1 << 33

LOOK = f"""
def look(context):
    return {{
        "get_ca_certs": repr(context.get_ca_certs()),
        "get_ca_certs in DER": [der.hex() for der in context.get_ca_certs(binary_form=True)],
        "cert_store_stats": context.cert_store_stats(),
        "vars": repr(vars(context)),
        "dir": dir(context),
        "verify_flags": int(context.verify_flags),
        "verify_mode": int(context.verify_mode),
        "check_hostname": context.check_hostname,
        "options": int(context.options) & ~{NO_COMPRESSED_CERTIFICATES},
        "_msg_callback": repr(context._msg_callback),
        "keylog_filename": context.keylog_filename,
        "sni_callback": repr(context.sni_callback),
        "ciphers": [cipher["name"] for cipher in context.get_ciphers()],
        "versions": [int(context.minimum_version), int(context.maximum_version)],
    }}
"""

LOOK_AFTERWARDS = (
    LOOK
    + """
ports, cafile, kind = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]
context = ssl.create_default_context(cafile=cafile or None)
new = look(context)
for _ in range(2):
    meet(context, ports[kind])
print(json.dumps([new, look(context)]))
"""
)


@pytest.mark.usefixtures("default_paths")
@pytest.mark.parametrize("cafile", ["cafile", "large cafile", "default paths"])
@pytest.mark.parametrize("kind", ["right", "leaf-only", "self-signed", "unknown"])
def test_a_context_looks_as_in_plain_python(sites: Sites, kind: str, cafile: str) -> None:
    file = {"default paths": "", "cafile": sites.pki.cafile, "large cafile": sites.large_cafile}[cafile]
    hooked, plain = with_and_without(LOOK_AFTERWARDS, sites.ports, file, kind)
    assert hooked == plain
    assert plain[0] == plain[1]


IN_TURN = """
context = ssl.create_default_context(cafile=sys.argv[1])
for kind, what in json.loads(sys.argv[2]):
    context.load_verify_locations(**{kind: what})
print(json.dumps([der.hex() for der in context.get_ca_certs(binary_form=True)]))
"""


@pytest.mark.parametrize("kind", ["cafile", "cadata", "special cafile", "large cafile"])
def test_what_was_loaded_in_turn_is_shown_in_turn(sites: Sites, tmp_path: Path, kind: str) -> None:
    later = Authority.root("Later Root")
    if kind == "cadata":
        load = "cadata", pem(later)
    elif kind == "special cafile":
        load = "cafile", str(file_of(tmp_path / "special.pem", trusted_pem(later)))
    else:
        load = "cafile", str((large_ca_file if "large" in kind else write_pem)(tmp_path / "later.pem", later))
    hooked, plain = with_and_without(IN_TURN, sites.large_cafile, json.dumps([load]))
    assert hooked == plain
    assert plain[-1] == later.der.hex()


MADE_BY_US = (
    LOOK
    + """
import aia_store

ports, cafile, way = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]
if way == "complete":
    context = aia_store.complete(ssl.create_default_context(cafile=cafile))
elif way == "create_default_context":
    context = aia_store.create_default_context(cafile=cafile)
elif way == "enable":
    context = ssl.create_default_context(cafile=cafile)
    aia_store.enable()
else:
    context = ssl.create_default_context(cafile=cafile)
said = meet(context, ports["leaf-only"])
print(json.dumps([said, look(context)]))
"""
)


@whole_package
@pytest.mark.parametrize("way", ["complete", "create_default_context", "enable"])
def test_a_context_that_was_handed_to_us_looks_so_too(sites: Sites, way: str) -> None:
    said, seen = answer(MADE_BY_US, sites.ports, sites.pki.cafile, way, hook=False)
    refused, plain = answer(MADE_BY_US, sites.ports, sites.pki.cafile, "plain", hook=False)
    assert (said, refused) == ("ok", "unable to get local issuer certificate")
    assert seen == plain


COPIED = """
port_of_good, port_of_evil, cafile, flags = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
context = ssl.create_default_context(cafile=cafile)
context.verify_flags = ssl.VerifyFlags(flags)
said = [meet(context, port_of_good, "good.example")]
other = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
other.verify_flags = ssl.VerifyFlags(flags)
other.load_verify_locations(cadata=b"".join(context.get_ca_certs(binary_form=True)))
said.append(meet(other, port_of_evil, "evil.example"))
print(json.dumps(said))
"""


@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS.keys())
def test_anchors_copied_into_another_context_accept_nothing_more(
    store: Path, hierarchy: MakeHierarchy, flags: int
) -> None:
    """Libraries copy the anchors for another TLS, such as QUIC's; under the flags of 3.13 each is one there."""
    chain = constrained_chain(hierarchy)
    with TLSServer(chain.pki.leaf) as good, TLSServer(chain.evil_leaf, chain.pki.intermediates) as evil:
        said = answer(COPIED, good.port, evil.port, chain.pki.cafile, int(flags))
    assert said == ["ok", "permitted subtree violation"]


SSL_ITSELF = """
import inspect, re, types

def described(owner, name):
    value = getattr(owner, name)
    found = {name: getattr(value, name, None) for name in ("__doc__", "__name__", "__qualname__")}
    if callable(value):
        try:
            found["signature"] = str(inspect.signature(value))
        except (TypeError, ValueError) as error:
            found["signature"] = str(error)
    return found

ssl.create_default_context()  # the first one
classes = [value for value in vars(ssl).values() if inspect.isclass(value) and value.__module__ in ("ssl", "_ssl")]
shown = {"dir(ssl)": dir(ssl)}
for owner in classes:
    shown[owner.__name__] = {
        "dir": dir(owner), "mro": [str(parent) for parent in owner.__mro__],
        "names": {name: described(owner, name) for name in dir(owner) if not name.startswith("_")},
    }
shown["SSLContext()"] = described(ssl, "SSLContext")
shown["functions"] = {
    name: described(ssl, name) for name, value in vars(ssl).items()
    if isinstance(value, types.FunctionType) and not name.startswith("_")
}
# An object's address tells nothing.
print(re.sub(r" at 0x[0-9a-f]+", "", json.dumps(shown)))
"""


def test_ssl_looks_as_in_plain_python(store: Path) -> None:
    hooked, plain = with_and_without(SSL_ITSELF)
    differences = list(_differences(hooked, plain))
    assert differences == []


def _differences(one: object, other: object, where: str = "ssl") -> list[str]:
    """Where two JSON values differ, one line each."""
    if isinstance(one, dict) and isinstance(other, dict):
        found: list[str] = []
        for key in sorted({*one, *other}):
            found += _differences(one.get(key, "absent"), other.get(key, "absent"), f"{where}.{key}")
        return found
    if isinstance(one, list) and isinstance(other, list):
        one, other = (
            sorted(set(map(str, one)) - set(map(str, other))),
            sorted(set(map(str, other)) - set(map(str, one))),
        )
    return [] if one == other else [f"{where}: {str(one)[:200]} and not {str(other)[:200]}"]
