"""Unusual CA files: exactly what OpenSSL reads from a file is trusted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.inside.contexts.files import file_of, trusted_pem
from tests.inside.harm.conftest import Sites, with_and_without
from tests.support.ca_files import large_file
from tests.support.pki import Authority, crl, pem
from tests.support.servers import TLSServer

BEGIN, END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"


def odd_files(first: Authority, second: Authority) -> dict[str, bytes]:
    """What can be in a CA file with these two roots. Servers under both show which of them OpenSSL read."""
    one, two = pem(first).encode(), pem(second).encode()
    both = one + two
    lines = one.splitlines(keepends=True)
    body = b"".join(line.strip() for line in lines[1:-1])
    trusted = one.replace(b" CERTIFICATE", b" TRUSTED CERTIFICATE")
    revoked = b"-----BEGIN X509 CRL-----\n" + _base64(crl(first)) + b"-----END X509 CRL-----\n"
    key = first.key_pem.encode()
    return {
        "plain": both,
        "joined without a newline": one.rstrip(b"\n") + two,
        "joined by a blank": one.rstrip(b"\n") + b" " + two,
        "joined by a tab": one.rstrip(b"\n") + b"\t" + two,
        "joined by CR": one.rstrip(b"\n") + b"\r" + two,
        "joined by a form feed": one.rstrip(b"\n") + b"\f" + two,
        "joined by NUL": one.rstrip(b"\n") + b"\0" + two,
        "the last two joined": one + two.rstrip(b"\n") + one,
        "no final newline": both.rstrip(b"\n"),
        "a blank for a final newline": both.rstrip(b"\n") + b" ",
        "CRLF": both.replace(b"\n", b"\r\n"),
        "CRLF and LF": one.replace(b"\n", b"\r\n") + two,
        "CR alone": both.replace(b"\n", b"\r"),
        "blanks at ends of lines": both.replace(b"\n", b" \n"),
        "tabs at ends of lines": both.replace(b"\n", b"\t\n"),
        "blanks at starts of lines": b"".join(b" " + line for line in both.splitlines(keepends=True)),
        "a blank before BEGIN": both.replace(BEGIN, b" " + BEGIN),
        "a blank before END": both.replace(END, b" " + END),
        "a blank after BEGIN": both.replace(BEGIN, BEGIN + b" "),
        "a blank after END": both.replace(END, END + b" "),
        "text after BEGIN": both.replace(BEGIN, BEGIN + b" x"),
        "text after END": both.replace(END, END + b" x"),
        "text before END": both.replace(END, b"x" + END),
        "END on the last line of base64": both.replace(b"\n" + END, END),
        "base64 on the line of BEGIN": both.replace(BEGIN + b"\n", BEGIN),
        "an empty line after BEGIN": both.replace(BEGIN + b"\n", BEGIN + b"\n\n"),
        "an empty line before END": both.replace(END, b"\n" + END),
        "an empty line in the base64": b"".join([*lines[:4], b"\n", *lines[4:]]) + two,
        "a comment in the base64": b"".join([*lines[:4], b"# comment\n", *lines[4:]]) + two,
        "a header in the block": both.replace(BEGIN + b"\n", BEGIN + b"\nName: value\n\n"),
        "an encrypted block": both.replace(BEGIN + b"\n", BEGIN + b"\nProc-Type: 4,ENCRYPTED\n\n"),
        "junk between": one + b"junk\n" + two,
        "junk without a newline between": one + b"junk" + two,
        "junk of one long line": one + b"j" * 5000 + b"\n" + two,
        "junk that begins with dashes": one + b"-----\n" + two,
        "an empty block between": one + BEGIN + b"\n" + END + b"\n" + two,
        "a block without an end between": one + BEGIN + b"\n" + body[:64] + b"\n" + two,
        "a block without a beginning between": one + body[:64] + b"\n" + END + b"\n" + two,
        "another end": one.replace(END, b"-----END X509 CERTIFICATE-----") + two,
        "lower case": both.replace(b"CERTIFICATE", b"certificate"),
        "six dashes": both.replace(b"-----B", b"------B"),
        "four dashes": both.replace(b"-----B", b"----B"),
        "one long line": BEGIN + b"\n" + body + b"\n" + END + b"\n" + two,
        "lines of 76": BEGIN + b"\n" + _in_lines(body, 76) + END + b"\n" + two,
        "lines of 63": BEGIN + b"\n" + _in_lines(body, 63) + END + b"\n" + two,
        "lines of 1": BEGIN + b"\n" + _in_lines(body, 1) + END + b"\n" + two,
        "lines of many lengths": BEGIN
        + b"\n"
        + _in_lines(body[:90], 30)
        + _in_lines(body[90:], 64)
        + END
        + b"\n"
        + two,
        "bad base64": one + two.replace(lines[1][:1], b"!", 1) if lines[1][:1] in two else one,
        "base64 with a stray sign": one + two[:80] + b"*" + two[80:],
        "padding in the middle": one + two[:92] + b"==" + two[94:],
        "padding too long": one[: -len(END) - 2] + b"==\n" + END + b"\n" + two,
        "a cut block": one + two[: len(two) // 2],
        "a byte more behind the DER": BEGIN + b"\n" + _base64(first.der + b"\0") + END + b"\n" + two,
        "a byte less of the DER": BEGIN + b"\n" + _base64(first.der[:-1]) + END + b"\n" + two,
        "rubbish in a block": BEGIN + b"\n" + _base64(b"rubbish") + END + b"\n" + two,
        "rubbish in the last block": one + BEGIN + b"\n" + _base64(b"rubbish") + END + b"\n",
        "twice the same": one + one + two,
        "X509 CERTIFICATE": both.replace(b" CERTIFICATE", b" X509 CERTIFICATE"),
        "TRUSTED CERTIFICATE": trusted + two,
        "a CRL": both + revoked,
        "a CRL first": revoked + both,
        "a CRL alone": revoked,
        "a key": one + key + two,
        "a key alone": key,
        "an unknown block": one + b"-----BEGIN NOTHING-----\nAAAA\n-----END NOTHING-----\n" + two,
        "NUL between": one + b"\0" + two,
        "NUL on a line of its own": one + b"\0\n" + two,
        "NUL in the base64": one[:80] + b"\0" + one[80:] + two,
        "NUL at the end": both + b"\0",
        "BOM": b"\xef\xbb\xbf" + both,
        "BOM of UTF-16": both.decode().encode("utf-16"),
        "text in Latin-1": b"# gr\xfc\xdfe\n" + both,
        "form feeds": one + b"\f\n" + two,
        "DER": first.der,
        "only comments": b"# nothing\n# at all\n",
        "only blanks": b" \n \n",
        "empty": b"",
    }


def _in_lines(body: bytes, width: int) -> bytes:
    return b"".join(body[at : at + width] + b"\n" for at in range(0, len(body), width))


def _base64(der: bytes) -> bytes:
    import base64

    return _in_lines(base64.b64encode(der), 64)


#: Reports for every file: the error or none, what was loaded, and which servers are accepted.
READ = """
files, ports, way = json.loads(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]

def made(file):
    if way == "create_default_context":
        return ssl.create_default_context(cafile=file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if way == "load_verify_locations":
        context.load_verify_locations(file)
    else:
        os.environ["SSL_CERT_FILE"] = file
        if way == "load_default_certs":
            context.load_default_certs()
        else:
            context.set_default_verify_paths()
    return context

seen = {}
for name, file in files.items():
    try:
        context = made(file)
    except Exception as error:
        seen[name] = [type(error).__name__, str(error)]
        continue
    seen[name] = [
        [meet(context, port) for port in ports],
        context.cert_store_stats(),
        [certificate["subject"][0][0][1] for certificate in context.get_ca_certs()],
        meet(context, ports[0]),
    ]
print(json.dumps(seen))
"""


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize(
    "way", ["load_verify_locations", "create_default_context", "SSL_CERT_FILE", "load_default_certs"]
)
def test_a_file_is_read_as_in_plain_python(store: Path, tmp_path: Path, way: str, size: str) -> None:
    first, second = Authority.root("First Root"), Authority.root("Second Root")
    files = {}
    for number, (name, content) in enumerate(odd_files(first, second).items()):
        path = tmp_path / f"{number}.pem"
        if size == "large" and content:
            large_file(path, content)
        else:
            path.write_bytes(content)
        files[name] = str(path)
    with TLSServer(first.leaf()) as one, TLSServer(second.leaf()) as two:
        ports = json.dumps([one.port, two.port])
        env = {"SSL_CERT_DIR": str(tmp_path / "no such folder")}
        hooked, plain = with_and_without(READ, json.dumps(files), ports, way, env=env)
    assert plain["plain"][0] == ["ok", "ok"]
    assert {name: seen for name, seen in hooked.items() if seen != plain[name]} == {}


UNREADABLE = """
port, cafile = sys.argv[1:3]

def forbid(event, arguments):
    if event == "open" and arguments[0] == cafile:
        raise PermissionError("this program opens no files")

sys.addaudithook(forbid)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.load_verify_locations(cafile)
print(json.dumps(meet(context, port)))
"""


def test_a_file_that_only_openssl_can_read(sites: Sites, tmp_path: Path) -> None:
    """What it says is not known then: here, that the root is rejected."""
    cafile = file_of(tmp_path / "trust.pem", trusted_pem(sites.pki.root, "-addreject", "serverAuth"))
    for kind in ("right", "leaf-only"):
        hooked, plain = with_and_without(UNREADABLE, sites.port(kind), cafile)
        assert hooked in (plain, "certificate rejected")
        assert hooked != "ok"
