"""The roots of the system and of certifi, with real intermediates: OpenSSL only looks for what a chain names.

Nobody here has a key that a real CA certified. So the leaves are made for this, named as issued by real intermediates
and signed by nobody, and the best that OpenSSL can say of such a chain is that the leaf's signature does not hold: it
says so last, when it has nothing else to complain of, the trust anchor included.
"""

from __future__ import annotations

import os
import ssl
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from aia_store.inside import cafile
from aia_store.inside.certificate import Certificate, readable
from aia_store.inside.contexts import Terms
from aia_store.inside.rehearsal import Rehearsal
from aia_store.inside.trusted import Trusted
from tests.conftest import PARTIAL_CHAIN, whole_package
from tests.handshake.on_demand.test_plain import FILES
from tests.support.pki import pem_blocks

DATA = Path(__file__).parents[4] / "shared" / "data" / "ccadb"
REPORTS = [DATA / "AllCertificatePEMs.csv", DATA / "not_trusted.pem"]
STEP = 1 if os.environ.get("AIA_STORE_TEST_REPORTS") == "all" else 40  # every so many of the intermediates
#: Not strict: the leaves, which name no key of their issuer's, would be refused before their issuers are looked for.
FLAGS = [ssl.VERIFY_X509_TRUSTED_FIRST, ssl.VERIFY_X509_TRUSTED_FIRST | PARTIAL_CHAIN]
LEVEL = 2  # OpenSSL's security level


@whole_package
@pytest.mark.timeout(600)
@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_verdict_is_that_under_the_whole_file(path: Path, flags: int) -> None:
    from aia_store.manager.verify import VerifyError, leaf_under

    if not path.exists():
        pytest.skip("this system keeps its roots elsewhere")
    if not all(report.exists() for report in REPORTS):
        pytest.skip("the CCADB's reports are not here")
    file = cafile.of(str(path))
    assert file is not None
    judge = _judge(file.ders, flags)
    intermediates = [*readable(der for report in REPORTS for der in pem_blocks(report.read_text(encoding="utf-8")))]
    by_name: dict[bytes, list[Certificate]] = {}
    for intermediate in intermediates:
        by_name.setdefault(intermediate.subject_key, []).append(intermediate)
    verdicts: Counter[str | None] = Counter()
    for intermediate in intermediates[::STEP]:
        try:
            leaf = leaf_under(intermediate)
        except VerifyError:
            continue  # a key of a rare kind
        above = [issuer.der for issuer in by_name.get(intermediate.issuer_key, ())]
        for chain in ([leaf], [leaf, intermediate.der], [leaf, intermediate.der, *above[:3]]):
            some = _loaded_for(chain, file)
            assert len(some) < len(file.ders) / 4
            verdict = judge.refusal(chain)
            assert verdict == (_judge(some, flags).refusal(chain) if some else "unable to get local issuer certificate")
            verdicts[verdict] += 1
    assert verdicts["certificate signature failure"] > sum(verdicts.values()) / 4, verdicts


def _judge(anchors: Sequence[bytes], flags: int) -> Rehearsal:
    return Rehearsal(Terms(flags, LEVEL), anchors)


def _loaded_for(chain: list[bytes], file: cafile.CAFile) -> list[bytes]:
    """What of the file a context of ours trusts for a chain."""
    some = Trusted((file,)).all_named_by(readable(chain))
    return [der for der in file.ders if der in some]
