"""The note on the error of a refused chain (PEP 678): it says in words why OpenSSL refused the chain.

A note has two or three lines: what is wrong, why the chain could not be completed, and what to do. It is made after the
handshake has failed, from what was found during the handshake. Nothing is fetched or verified for it.

What a peer sends may be hostile, and a program's tracebacks may go where only ASCII can be written. So texts in a note
are cut to a length, in ASCII, and without control characters.
"""

from __future__ import annotations

import _socket
import os
import sys
import time

from . import STRICT, importing, remember, unless_interrupted
from .certificate import EXTENDED_KEY_USAGE, SERVER_AUTH, Certificate, DERError, readable, sent_in
from .certificate_names import common_name, host_names
from .contexts import CRL_CHECKS, NO_CHECK_TIME
from .settings import escaped, is_on
from .trusted import Trusted, default_paths
from .verification import LARGEST_KEY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from .search import Findings
    from .trusted import Given

    class Presented(Protocol):
        """What a note needs to know of a peer's certificates and connection: attributes of `patch.Presented`."""

        message: bytes
        version: int
        is_from_client: bool
        given: Given
        flags: int
        level: int | None
        findings: Findings | None
        left_alone: str | None


LONGEST_NAME, LONGEST_URL, LONGEST_REASON = 64, 160, 160  # characters
MOST_NAMES = 3  # of a certificate's host names
HOLDS_FOR, MOST_KEPT = 60.0, 16  # for how many seconds a note is used again; the number of notes per context
_LONGEST_CHAIN = 16  # certificates
_HOST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:_")

# OpenSSL's verdicts: X509_V_ERR_ in its x509_vfy.h.
NOT_YET_VALID, HAS_EXPIRED = 9, 10
SELF_SIGNED_LEAF = 18
INCOMPLETE = (2, 19, 20, 21)  # no issuer, a self-signed one that is not trusted, no local issuer, nothing but the leaf
HOSTNAME_MISMATCH, ADDRESS_MISMATCH = 62, 64
_STRICT_ONLY = range(80, 94)  # verdicts that only STRICT causes

# The other verdicts, in words.
_MEANINGS = {
    3: "The program checks revocation lists (CRLs) and has none for this chain.",
    7: "A signature in the chain is wrong: a certificate was changed, or another key made it.",
    12: "A revocation list (CRL) that the program has loaded has expired.",
    22: "The chain is longer than the program allows.",
    23: "A revocation list (CRL) that the program has loaded says that a certificate of the chain is revoked.",
    25: "The chain is longer than one of its CAs permits (path length constraint).",
    26: "{unfit} is not meant for a {peer} (extended key usage).",
    28: "The trust anchor of the chain is distrusted for this purpose.",
    47: "A name in the certificate is not among those that a CA of the chain may issue for (name constraints).",
    48: "A name in the certificate is among those that a CA of the chain may not issue for (name constraints).",
    66: "The key of the {peer}'s certificate is too weak for the program's security level{level}.",
    67: "The key of a CA in the chain is too weak for the program's security level{level}.",
    68: "A signature in the chain was made with a digest too weak for the program's security level{level}.",
    79: "A certificate of the chain was issued by one that is not a CA.",
}
_CLIENT_AUTH = b"\x2b\x06\x01\x05\x05\x07\x03\x02"  # RFC 5280, 4.2.1.12
_IF_GENUINE = "If you know whose it is, and that it is genuine"
_FOR_THE_PROGRAM = (3, 12)  # verdicts that the program itself can mend


def note(error: Any, presented: Presented, host: str | None, *, checks_name: bool, at_443: bool) -> str | None:
    """The note for an SSLCertVerificationError; None if notes are switched off. May raise any exception.

    `host` is the name that the program asked for. `checks_name` says whether the certificate must be for this name, and
    `at_443` whether the port is known to be 443. If the program tries again within a minute, it gets the same note.
    """
    if not is_on("explain"):
        return None
    findings = presented.findings
    of_program = host, checks_name, at_443, presented.left_alone, presented.level
    key = presented.message, presented.version, error.verify_code, of_program
    now = time.time()
    known = presented.given.notes.get(key)
    if known is not None and known[0] is findings and now < known[1] <= now + HOLDS_FOR:
        return known[2]
    if is_on("disable"):
        return None
    refusal = Refusal(error, presented, host, checks_name=checks_name, at_443=at_443)
    made = "aia-store: " + "\n".join(refusal.lines())
    if len(presented.message) <= LARGEST_KEY:
        remember(presented.given.notes, key, (findings, now + HOLDS_FOR, made), MOST_KEPT)
    return made


def is_at_443(driver: Any) -> bool:
    """Whether this is a socket connected to port 443. Notes name no other port, because it may be a proxy's."""
    if not isinstance(driver, _socket.socket):
        return False
    try:
        # Not the method of the program's class, which may have its own. Addresses of other sockets have other shapes.
        return bool(_socket.socket.getpeername(driver)[1:2] == (443,))
    except unless_interrupted(OSError):
        return False


class Refusal:
    """Explains why OpenSSL refused a chain. Raises MessageError or DERError if the leaf cannot be read."""

    def __init__(self, error: Any, presented: Presented, host: str | None, *, checks_name: bool, at_443: bool) -> None:
        ders = sent_in(presented.message, presented.version)
        self._code: int = error.verify_code
        self._reason: str = error.verify_message
        self._leaf = Certificate(ders[0])
        self._sent = list(readable(ders[1:]))
        self._flags = presented.flags
        self._level = presented.level
        self._trusted = Trusted(presented.given.lists, presented.given.directories, self._flags)
        self._findings = presented.findings
        self._left_alone = presented.left_alone
        self._peer = "client" if presented.is_from_client else "server"
        self._host = host
        self._checks_name = checks_name
        self._at_443 = at_443

    def lines(self) -> list[str]:
        """The lines of the note, without the prefix "aia-store: "."""
        if self._code in (HOSTNAME_MISMATCH, ADDRESS_MISMATCH):
            return self._for_other_names()
        is_incomplete = self._code in INCOMPLETE
        if self._code in (NOT_YET_VALID, HAS_EXPIRED) or (is_incomplete and self._is_out_of_time(self._leaf)):
            return self._out_of_time()
        if self._code == SELF_SIGNED_LEAF:
            besides = self._besides("it")
            return [
                f"The {self._peer}'s certificate {_called(self._leaf)} is self-signed: no CA vouches for it.{besides}",
                self._another() if besides else f"{_IF_GENUINE}, {self._how_to_trust()}.",
            ]
        return self._incomplete() if is_incomplete else self._against_the_rules()

    def _for_other_names(self) -> list[str]:
        besides = f" Besides, it {self._when(self._leaf)}." if self._is_out_of_time(self._leaf) else ""
        if besides:
            remedy = self._another()
        elif host_names(self._leaf):
            remedy = "Connect to a host that it names, or have the server's owner get a certificate for this one."
        else:
            remedy = "The server's owner has to get a certificate that names it."
        return [f"The server's certificate {self._names()}.{besides}", remedy]

    def _names(self) -> str:
        """A phrase that says which hosts the leaf is for, and which host the program asked for instead."""
        names = host_names(self._leaf)
        if not names:
            return "names no host (it has no subjectAltName)"
        listed = ", ".join(printable(name, LONGEST_NAME) for name in names[:MOST_NAMES])
        more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        asked = f", not for {printable(self._host, LONGEST_NAME)}" if self._host else ""
        return f"is for {listed}{more}{asked}"

    def _besides(self, leaf: str) -> str:
        """A sentence, with `leaf` as its subject, on what else is wrong with the leaf (dates, names); may be empty."""
        found = []
        if self._is_out_of_time(self._leaf):
            found.append(self._when(self._leaf))
        if self._checks_name and self._is_for_others():
            found.append(self._names())
        return f" Besides, {leaf} {' and '.join(found)}." if found else ""

    def _is_for_others(self) -> bool:
        """Whether the leaf is surely not for the host. False if the host has many spellings: beyond ASCII, or IPv6."""
        host = (self._host or "").lower()
        names = [name.lower() for name in host_names(self._leaf)]
        if not host.isascii() or ":" in host or not names:
            return False
        return not {host, f"*.{host.partition('.')[2]}"}.intersection(names)

    def _another(self) -> str:
        return f"The {self._peer}'s owner has to get another certificate{self._check()}."

    def _is_out_of_time(self, certificate: Certificate) -> bool:
        return not self._flags & NO_CHECK_TIME and not certificate.is_valid_at(time.time())

    def _out_of_time(self) -> list[str]:
        now = time.time()
        chain = [*self._upwards(), *self._sent]
        ended = next((found for found in chain if not found.is_valid_at(now)), None)
        if ended is None:
            return self._against_the_rules()
        if ended == self._leaf:
            what, remedy = f"The {self._peer}'s certificate", f"The {self._peer}'s owner has to renew it."
        elif self._trusted.holds(ended):
            what, remedy = "The trust anchor", f"The trust anchors of this {self._whose()} have to be renewed."
        else:
            what, remedy = "The intermediate", f"The {self._peer}'s owner has to replace it{self._check()}."
        if ended.validity[0] > now:
            remedy = "Is this machine's clock right?"
        return [f"{what} {_called(ended)} {self._when(ended)}; this machine's clock says {_date(now)}.", remedy]

    def _when(self, certificate: Certificate) -> str:
        """A phrase that says when a certificate expired, or before which date it is not valid."""
        not_before, not_after = certificate.validity
        has_expired = not_after < time.time()
        return f"expired on {_date(not_after)}" if has_expired else f"is not valid before {_date(not_before)}"

    def _incomplete(self) -> list[str]:
        findings = self._findings
        chain = self._upwards()
        top = chain[-1]
        if findings is not None and findings.revoked:
            return [
                f"The chain needs the intermediate {_called(findings.revoked[0])}, which is known to be revoked.",
                f"The {self._peer}'s owner needs a certificate from another one.",
            ]
        if findings is not None and findings.refusals:
            return [
                f"A path to a trust anchor was found, but OpenSSL refuses it: {printable(findings.refusals[0])}.",
                f"The {self._peer}'s owner has to get another certificate, or to send other intermediates"
                f"{self._check()}.",
            ]
        if any(map(self._is_out_of_time, chain)):
            return self._out_of_time()
        if self._trusted.holds(top):
            return self._against_the_rules()
        if top.is_self_signed:
            besides = self._besides(f"the {self._peer}'s certificate")
            return [
                f"The chain ends at the root {_called(top)}, which this {self._whose()} does not trust.{besides}",
                f"{_IF_GENUINE}, {self._how_to_trust()}.",
            ]
        return [self._missing(chain), self._why_missing(top), self._how_to_complete(top)]

    def _missing(self, chain: list[Certificate]) -> str:
        issuer = _quoted(chain[-1].issuer)
        if len(chain) > 1:
            return (
                f"The chain ends at {_called(chain[-1])}, whose issuer {issuer} was not sent, "
                f"and is not trusted by this {self._whose()}."
            )
        if self._sent:
            has_namesake = any(sent.subject_key == self._leaf.issuer_key for sent in self._sent)
            why = f": what it sent as {issuer} has another key" if has_namesake else ""
            none = f"None of what the {self._peer} sent issued its own certificate{why}"
            return f"{none}; the issuer {issuer} is missing."
        return f"The {self._peer} sent only its own certificate; the issuer {issuer} is missing."

    def _why_missing(self, top: Certificate) -> str:
        findings = self._findings
        if self._left_alone:
            return f"aia-store left this connection alone: {printable(self._left_alone)}."
        if findings is None and self._flags & CRL_CHECKS:
            return "aia-store left this connection alone, because the program checks revocation lists."
        if findings is None:
            return "aia-store found no path to a trust anchor."
        if findings.is_offline:
            return "It was not fetched, because fetching is switched off (AIA_STORE_OFFLINE)."
        if not findings.has_time:
            return "It was not fetched, because AIA_STORE_ASYNC_BUDGET leaves no time for that."
        urls = _urls(top)
        if not urls:
            return "It could not be fetched: no URL is named for it (no AIA)."
        for url in urls:
            if url in findings.failed or url in findings.answered or url in findings.paused:
                return self._what_became_of(url, findings)
        return self._why_not_asked(urls)

    def _what_became_of(self, url: str, findings: Findings) -> str:
        until = findings.paused.get(url, 0.0)
        again = f"; asked again after {_clock(until)}" if until > time.time() else ""
        where = printable(url, LONGEST_URL)
        if url in findings.failed:
            return f"It could not be fetched from {where} ({printable(findings.failed[url])}{again})."
        if url in findings.answered:
            return f"What {where} returned is not the issuer."
        return f"What {where} returned a short while ago led to no trust anchor{again}."

    def _why_not_asked(self, urls: list[str]) -> str:
        with importing:
            from .fetch import RefusedError, checked_url
            from .search import Budget

        if len(urls) >= Budget.too_many_urls:
            return f"It was not fetched, because {len(urls)} URLs are named for it, which is too many."
        try:
            checked_url(urls[0].strip(" \t"))
        except RefusedError as error:
            return f"It was not fetched from {printable(urls[0], LONGEST_URL)} ({error})."
        return f"It was not fetched from {printable(urls[0], LONGEST_URL)}, because this handshake has fetched enough."

    def _how_to_complete(self, top: Certificate) -> str:
        itself = "" if _urls(top) else f" Or, if it is a root that you know to be genuine, {self._how_to_trust()}."
        return f"The {self._peer}'s owner should send it{self._check()}.{itself}"

    def _against_the_rules(self) -> list[str]:
        level = "" if self._level is None else f" ({self._level})"
        if self._code in _MEANINGS:
            what = _MEANINGS[self._code].format(peer=self._peer, level=level, unfit=self._unfit())
        else:
            what = f"OpenSSL refuses the chain: {printable(self._reason)}."
        if self._code in _FOR_THE_PROGRAM:
            remedy = "The program has to load a current list of every CA that it checks."
        elif self._flags & STRICT and self._code in _STRICT_ONLY:
            remedy = (
                "From 3.13 on, Python refuses what RFC 5280 forbids (VERIFY_X509_STRICT); the CA has to reissue it."
            )
        else:
            remedy = self._another()
        return [what, remedy]

    def _unfit(self) -> str:
        """A phrase that names the first certificate whose extended key usage excludes the peer (server or client)."""
        purpose = _CLIENT_AUTH if self._peer == "client" else SERVER_AUTH
        found = (one for one in self._upwards() if purpose not in one.extensions.get(EXTENDED_KEY_USAGE, purpose))
        return next((f"The certificate {_called(one)}" for one in found), "A certificate of the chain")

    def _upwards(self) -> list[Certificate]:
        """The leaf, then its likeliest issuer among the known certificates, then that issuer's issuer, and so on."""
        with importing:
            from .search import likeliest_first, may_have_issued

        at_hand = [*self._sent, *(self._findings.found if self._findings is not None else ())]
        chain = [self._leaf]
        while not chain[-1].is_self_signed and len(chain) < _LONGEST_CHAIN:
            below = chain[-1]
            issuers = [found for found in (*self._trusted.issuers_of(below), *at_hand) if may_have_issued(found, below)]
            above = [found for found in likeliest_first(below, issuers) if found not in chain]
            if not above:
                break
            chain.append(above[0])
        return chain

    def _whose(self) -> str:
        """Whose trust anchors were used: "machine" if the program uses OpenSSL's default paths, else "program"."""
        return "machine" if default_paths()[1] in self._trusted.directories else "program"

    def _how_to_trust(self) -> str:
        return how_to_trust() if self._whose() == "machine" else "add it to the CA file that the program is given"

    def _check(self) -> str:
        """Words that name the `aia-store check` command for the host; empty for clients and names unsafe in a shell."""
        host = self._host
        if self._peer == "client" or not host or not _HOST.issuperset(host) or host.startswith("-"):
            return ""
        port = "" if self._at_443 else " (add the port if it is not 443)"
        return f"; `aia-store check {printable(host, LONGEST_NAME)}` shows more{port}"


def how_to_trust(root: str = "/") -> str:
    """Say how to add a root certificate to this system's trust anchors. `root` is the top folder of its file system."""
    if sys.platform == "darwin":
        return "add it to the System keychain: security add-trusted-cert -d -k /Library/Keychains/System.keychain FILE"
    if sys.platform == "win32":
        return "add it to the system's roots: certutil -addstore Root FILE"
    for folder, command in (
        ("etc/pki/ca-trust/source/anchors", "update-ca-trust"),  # Fedora, RHEL
        ("etc/pki/trust/anchors", "update-ca-certificates"),  # SUSE
        ("etc/ca-certificates/trust-source/anchors", None),  # Arch
        ("usr/local/share/ca-certificates", "update-ca-certificates"),  # Debian, Ubuntu, Alpine
    ):
        path = os.path.join(root, folder)
        if os.path.isdir(path):
            return f"copy it to {path}/NAME.crt and run `{command}`" if command else "run `trust anchor FILE` with it"
    return "add it to the system's trust anchors"


def printable(text: str, most: int = LONGEST_REASON) -> str:
    """A text that may be hostile, cut after `most` characters, in ASCII without control characters."""
    cut = text if len(text) <= most else text[:most] + "..."
    return escaped(cut).encode("ascii", "backslashreplace").decode("ascii")


def _called(certificate: Certificate) -> str:
    return _quoted(certificate.subject)


def _quoted(name: bytes) -> str:
    return f'"{printable(common_name(name), LONGEST_NAME)}"'


def _urls(certificate: Certificate) -> list[str]:
    try:
        return certificate.ca_issuers
    except DERError:
        return []


def _date(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(moment))


def _clock(moment: float) -> str:
    """A moment (seconds since 1970) as HH:MM in local time, rounded up to the minute."""
    return time.strftime("%H:%M", time.localtime(moment + 59))
