"""The CCADB's own reports: exactly what OpenSSL's commands call fit is preloaded.

`openssl verify` takes each intermediate for the end of its path, and so wants no more of it than a path; that it may
stand above a TLS server's certificate is what `openssl x509 -purpose` says. They leave one thing open: whether the
path has room for one more certificate. That is the only difference, and is looked at here.
"""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
from pathlib import Path

import certifi
import pytest

from aia_store.inside.certificate import Certificate
from tests.manager.machine import Machine
from tests.support.pki import pem, pem_blocks

CCADB = Path(__file__).parents[3] / "shared" / "data" / "ccadb"
EVERY = 1 if os.environ.get("AIA_STORE_TEST_REPORTS") == "all" else 80
REPORTS = {"MozillaIntermediateCerts.csv": "PEM", "AllCertificatePEMs.csv": "X.509 Certificate (PEM)"}


@pytest.mark.timeout(120 if EVERY > 1 else 600)
@pytest.mark.parametrize("name", REPORTS)
def test_what_is_kept_is_what_openssl_accepts(machine: Machine, name: str) -> None:
    openssl = shutil.which("openssl")
    if not (CCADB / name).exists() or openssl is None:
        pytest.skip("the CCADB's reports or the openssl command are not here")
    with (CCADB / name).open(newline="", encoding="utf-8") as file:
        certificates = [Certificate(pem_blocks(row[REPORTS[name]])[0]) for row in csv.DictReader(file)]
    machine.environment |= {"AIA_STORE_ROOTS": certifi.where(), "AIA_STORE_OFFLINE": "1"}
    with machine.store_in_memory():
        found = machine.json("preload", CCADB / name)
        kept = {path.stem for path in machine.store.glob("preloaded/*/*/*.pem")}
    assert (found["new"], len(found["skipped"])) == (len(kept), len(certificates) - len(kept))

    asked = certificates[::EVERY]
    files = {certificate.fingerprint: machine.folder / f"{certificate.fingerprint}.pem" for certificate in asked}
    for certificate in asked:
        files[certificate.fingerprint].write_text(pem(certificate.der), encoding="ascii")
    everything = machine.folder / "all.pem"
    everything.write_text(pem(*(certificate.der for certificate in certificates)), encoding="ascii")
    anchors = ["-no-CApath", "-no-CAstore", "-CAfile", certifi.where(), "-untrusted", str(everything)]
    verify = [openssl, "verify", "-auth_level", "2", *anchors, *map(str, files.values())]
    verified = subprocess.run(verify, capture_output=True, text=True, check=False).stdout
    accepted = {
        fingerprint
        for fingerprint, path in files.items()
        if f"{path}: OK" in verified and "SSL server CA : Yes" in purposes(openssl, path)
    }
    assert len(accepted) > len(asked) / 2
    assert kept & files.keys() <= accepted
    issuers = {certificate.subject_key: certificate for certificate in certificates}
    for certificate in asked:
        if certificate.fingerprint in accepted - kept:
            assert issuers[certificate.issuer_key].basic_constraints == (True, 0), "no room for a leaf below"


def purposes(openssl: str, path: Path) -> str:
    """What OpenSSL says that a certificate may be used for."""
    command = [openssl, "x509", "-noout", "-purpose", "-in", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
