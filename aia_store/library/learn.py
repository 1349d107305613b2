"""Learn intermediates ahead of any handshake: from a host, an AIA URL or a file."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..check.asked import Target
from ..check.host import FETCH_SECONDS, probe
from ..inside import fetch, reply
from ..inside.certificate import Certificate, pem_certificates, readable
from ..inside.settings import Settings
from ..inside.store import IntermediateStore, sound_store
from ..manager import roots
from ..manager.revocation.record import reader
from ..manager.safe_reading import first_bytes
from ..manager.target import parse_target
from ..manager.verify import Verifier, VerifyError

LARGEST_FILE = 256 << 20
_FILE_ENDINGS = (".pem", ".crt", ".cer", ".der", ".p7b", ".p7c", ".csv", ".txt")


class LearnError(Exception):
    """Nothing could be learned from a source. The message is one line that names it and says what to do."""


class Learned(NamedTuple):
    """One certificate that a source offered. `reason` is why it was not kept; None if it was kept."""

    certificate: Certificate
    reason: str | None
    is_new: bool


def from_source(source: str, settings: Settings, progress: Callable[[int, int], None]) -> list[Learned]:
    """Keep the intermediates of a source that lead to a trust anchor of this machine.

    The source is a file, an http URL, or a host. Raises LearnError, ProbeError, RootsError.
    """
    anchors = roots.load(roots.source(settings))
    if os.path.exists(source):
        return keep(_of_file(source), settings, anchors, progress)
    if source.startswith("http://"):
        return keep(_of_url(source, settings), settings, anchors, progress, source)
    if os.sep in source.partition("://")[0] or source.endswith(_FILE_ENDINGS):
        raise LearnError(f"{source} does not exist")
    return _of_host(source, settings, anchors)


def keep(
    offered: list[Certificate],
    settings: Settings,
    anchors: Sequence[Certificate],
    progress: Callable[[int, int], None] = lambda done, total: None,
    url: str | None = None,
) -> list[Learned]:
    """Keep the certificates that lead to one of these anchors, directly or by intermediates. `url` is their source.

    Raises LearnError, StoreError.
    """
    store = sound_store(settings, to_write=True)
    verifier = Verifier(anchors, store.find, reader(store.folders))
    verifier.offer(offered)
    among = set(offered)
    known = {certificate for certificate in among if certificate in store.needed(certificate.subject_key)}
    outcome = []
    for done, certificate in enumerate(offered):
        progress(done, len(offered))
        try:
            path = verifier.path(certificate)
        except VerifyError as error:
            outcome.append(Learned(certificate, str(error), False))
            continue
        for link in path[:-1]:
            _keep_one(store, link, url if link in among else None)
        outcome.append(Learned(certificate, None, certificate not in known))
    progress(len(offered), len(offered))
    return outcome


def _keep_one(store: IntermediateStore, certificate: Certificate, url: str | None = None) -> None:
    if not store.keep(certificate, url):
        places = ", ".join(folder.path for folder in store.folders)
        raise LearnError(f"nothing can be kept in {places}; is the disk full?")


def _of_host(source: str, settings: Settings, anchors: list[Certificate]) -> list[Learned]:
    target = Target(*parse_target(source))
    store = sound_store(settings, to_write=True)
    findings = probe(target, settings, anchors)
    if all(finding.path is None for finding in findings):
        finding = findings[0]
        reason = finding.refusal or "no path to a trust anchor was found"
        if finding.hangs_on_revoked:
            reason = f"an intermediate is revoked {next(iter(finding.revoked.values()))}"
        raise LearnError(
            f"{target.address}: nothing could be learned ({reason}); `aia-store check {target.address}` shows more"
        )
    outcome: dict[Certificate, Learned] = {}
    for finding in findings:
        for certificate in finding.path.intermediates if finding.path is not None else ():
            if not certificate.is_in_der:
                outcome[certificate] = Learned(certificate, "it is not in DER", False)
                continue
            is_new = certificate in finding.learned or certificate not in store.needed(certificate.subject_key)
            _keep_one(store, certificate)
            outcome.setdefault(certificate, Learned(certificate, None, is_new))
    return list(outcome.values())


def _of_url(url: str, settings: Settings) -> list[Certificate]:
    if settings.offline:
        raise LearnError(f"{url} was not fetched: AIA_STORE_OFFLINE is set")
    try:
        deadline = time.monotonic() + FETCH_SECONDS
        body = fetch.get(url, settings.allowed_networks, deadline, proxy=settings.proxy)
    except fetch.FetchError as error:
        raise LearnError(f"{url} cannot be fetched: {error}") from error
    return _parsed(body, url)


def _of_file(path: str) -> list[Certificate]:
    try:
        if os.path.isdir(path):
            raise LearnError(f"{path} is a folder; name the files in it")
        content = first_bytes(path, LARGEST_FILE + 1)
    except OSError as error:
        raise LearnError(f"{path} cannot be read ({error.strerror})") from error
    if len(content) > LARGEST_FILE:
        raise LearnError(f"{path} is too large to hold certificates")
    return _parsed(content, path)


def _parsed(content: bytes, source: str) -> list[Certificate]:
    """The certificates in PEM (also within a CCADB report), DER or PKCS#7, each once."""
    found = list(readable(pem_certificates(content))) or list(reply.certificates(content, most=10_000))
    if not found:
        raise LearnError(f"{source} holds no certificate; PEM, DER, PKCS#7 and the CCADB's reports can be read")
    return found
