"""Make aia_store/inside/anchors.bin: the roots of the public programmes that every version of OpenSSL loads.

    python packaging/anchors/make.py CERTIFICATES.pem… [--ask PYTHON]…

CERTIFICATES.pem holds roots in PEM: all self-issued certificates that the CCADB lists, and the CA files of systems.
This Python's OpenSSL and pyOpenSSL's are asked about each, alone in a file, and so are those of every other PYTHON that
is named: the more versions of OpenSSL they have, the better. What one of them does not load, or names otherwise than
this package does, is left out. `aia_store/inside/cafile.py` describes the format. The same input gives the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import struct
import subprocess
import sys
from bisect import bisect_left
from pathlib import Path

from aia_store.inside import cafile
from aia_store.inside.certificate import pem_certificates, readable, subject_hash, to_pem

#: A program that reads PEM blocks (a JSON list) and writes the versions of its OpenSSLs, and what each of them says of
#: each block: false or "" where it does not load it, else true or the hash of the subject's name.
ASK = """
import json, ssl, sys, tempfile

def by_ssl(path):
    context = ssl._ssl._SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(path)
    return context.cert_store_stats()["x509"] == 1

def by_pyopenssl(path):
    store = crypto.X509Store()
    store.load_locations(path)
    with open(path, "rb") as file:
        certificate = crypto.load_certificate(crypto.FILETYPE_PEM, file.read())
    return "%08x" % certificate.subject_name_hash()

askers = {ssl.OPENSSL_VERSION: by_ssl}
try:
    from OpenSSL import SSL, crypto
except ImportError:
    pass
else:
    askers[SSL.SSLeay_version(0).decode()] = by_pyopenssl

def said_of(block):
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(block)
        file.flush()
        answers = []
        for ask in askers.values():
            try:
                answers.append(ask(file.name))
            except Exception:
                answers.append("")
        return answers

print(json.dumps([list(askers), [said_of(block) for block in json.load(sys.stdin)]]))
"""


def main(sources: list[Path], pythons: list[str]) -> None:
    """Read the certificates, ask about them, and write the file."""
    ders = list(dict.fromkeys(der for source in sources for der in pem_certificates(source.read_bytes())))
    named = [(to_pem(der), name) for der in ders if (name := _subject_hash(der))]
    loaded = [True] * len(named)
    for python in [sys.executable, *pythons]:
        blocks = json.dumps([block for block, _ in named])
        done = subprocess.run([python, "-c", ASK], input=blocks, stdout=subprocess.PIPE, text=True, check=True)
        versions, answers = json.loads(done.stdout)
        agrees = [
            all(said in (True, name) for said in of_one) for (_, name), of_one in zip(named, answers, strict=True)
        ]
        print(f"{', '.join(versions)}: {agrees.count(True)} of {len(named)}")
        loaded = [before and now for before, now in zip(loaded, agrees, strict=True)]
    rows = sorted(_row(block, name) for (block, name), is_loaded in zip(named, loaded, strict=True) if is_loaded)
    first = struct.calcsize(cafile.STARTS)
    size = cafile.DIGEST_SIZE + cafile.NAME_SIZE
    starts = [first + size * bisect_left(rows, bytes((octet,))) for octet in range(256)]
    Path(cafile.ANCHORS).write_bytes(struct.pack(cafile.STARTS, *starts, first + size * len(rows)) + b"".join(rows))
    print(f"{cafile.ANCHORS}: {len(rows)} of {len(ders)} certificates")


def _row(block: str, name: str) -> bytes:
    lines = "".join(block.splitlines(keepends=True)[1:-1])
    return hashlib.sha256(lines.encode()).digest()[: cafile.DIGEST_SIZE] + bytes.fromhex(name)


def _subject_hash(der: bytes) -> str:
    """The hash of the subject's name, by this package; empty where it cannot read the certificate."""
    return next((subject_hash(certificate.subject_key) for certificate in readable([der])), "")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("certificates", nargs="+", type=Path)
    parser.add_argument("--ask", action="append", default=[], metavar="PYTHON")
    arguments = parser.parse_args()
    main(arguments.certificates, arguments.ask)
