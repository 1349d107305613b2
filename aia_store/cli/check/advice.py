"""Puts a finding into words: sentences that say what to do, a headline, and phrases that all output formats share."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ...check import views as clients
from ...check.asked import FileTarget, Target
from ...check.finding import MENDED_BY_CHAIN, Advice, Fault, Finding, Needless
from ...check.weakness import Weakness
from ...inside.certificate import Certificate
from ...inside.certificate_names import host_names
from ...inside.fetch import RefusedError, checked_url
from ...inside.search import Budget
from ...manager.target import address, is_address
from ...manager.words import counted, shortened
from .. import output
from .result import SOON, Answer, Here, Result

WORKS_IN = "Works in: "  # begins a sentence that the HTML page shows as a drawing instead
MOST_LISTED = 3  # intermediates named in one line
MOST_NAMES = 4  # of a certificate, shown
LONGEST_NAME = 253  # characters; DNS permits no more

# What OpenSSL's reasons for a failed handshake mean, and what the owner should do.
FAILURES = {
    "bad signature": ("the server's key is not that of its certificate", "install a certificate and its own key"),
    "wrong certificate type": (
        "the certificate does not suit the cipher suite",
        "install a certificate and its own key",
    ),
}
_MODERN_SUITES = "should allow cipher suites with AES-GCM or ChaCha20"
_OTHER_CA = "needs a certificate from a CA with RSA keys, or ECDSA keys on P-256 or P-384"
_NAMED = "needs a certificate with the host's name in the subjectAltName"
_COMMON_KEY = "needs a certificate with an RSA key, or an ECDSA key on P-256 or P-384"
# What the owner of a server should do about a weakness.
_REMEDIES = {
    Weakness.OLD_VERSION: "should switch on TLS 1.2 and 1.3",
    Weakness.OLD_RENEGOTIATION: "should update its TLS library",
    Weakness.SHA1_SUITES: _MODERN_SUITES,
    Weakness.CBC_SUITES: _MODERN_SUITES,
    Weakness.RARE_SUITES: _MODERN_SUITES,
    Weakness.STATIC_RSA: "should allow cipher suites with ECDHE",
    Weakness.DHE_ONLY: "should allow cipher suites with ECDHE",
    Weakness.SHA1_SIGNATURE: "should allow signatures with SHA-256",
    Weakness.SMALL_DH: "should use a Diffie-Hellman group of 2,048 bits or more, or only ECDHE",
    Weakness.SMALL_KEY: "needs a certificate with a larger key: ECDSA, or RSA of 2,048 bits or more",
    Weakness.WEAK_DIGEST: "needs certificates that are signed with SHA-256",
    Weakness.ED25519_KEY: _COMMON_KEY,
    Weakness.ED448_KEY: _COMMON_KEY,
    Weakness.P521_KEY: _COMMON_KEY,
    Weakness.PSS_KEY: _COMMON_KEY,
    Weakness.ED25519_CA: _OTHER_CA,
    Weakness.RARE_CURVE_CA: _OTHER_CA,
    Weakness.KEY_USAGE: "needs a certificate whose key usage has digitalSignature, or none at all",
    Weakness.COMMON_NAME: _NAMED,
    Weakness.COMMON_NAME_BESIDE_ADDRESSES: _NAMED,
    Weakness.NO_POLICY: "needs a certificate with the policy that its CA demands",
}
IF_STAPLED = ", if the server sends an OCSP response, as its certificate demands"
_MUST_STAPLE = (
    "The certificate demands that the server sends (staples) an OCSP response, which was not checked; "
    "without one, wget and other programs with GnuTLS refuse the server."
)


def sentences(answer: Answer, here: Here) -> Iterator[str]:
    """What is wrong and what to do; nothing if there is no finding."""
    finding = answer.finding
    if finding is None:
        return
    yield from _of_faults(answer, finding, here)
    for certificate in finding.links:
        days = finding.days_left(certificate)
        if 0 <= days < max(SOON, answer.expiry_days):
            ends = output.day(certificate.validity[1])
            yield f"Ends soon: {output.subject(certificate)}, on {ends}, in {counted(days, 'day')}."
    yield from (_advised(advice, how_sent(finding)) for advice in finding.advice)
    if finding.must_staple:
        yield _MUST_STAPLE
    if finding.seen.asks_client:
        yield "The server asks clients for a certificate; what it does with one was not checked."


def _of_faults(answer: Answer, finding: Finding, here: Here) -> Iterator[str]:
    """What is wrong with the handshake, with the order of certificates in a file, and with the chain."""
    faults = finding.faults
    if not faults:
        yield from _complete(answer, finding)
        return
    if Fault.HANDSHAKE in faults:
        yield from _handshake(finding)
    if Fault.LEAF_NOT_FIRST in faults:
        yield f"Wrong: {_place_of_leaf(finding)}, but servers take the first for their own."
    yield from _of_chain(finding, here)
    told = {finding.chain_weakness, *(finding.seen.weaknesses if Fault.HANDSHAKE in faults else ())}
    for weakness in (one for one in finding.weaknesses if one not in told):
        yield f"Besides, {weakness.meaning}, which not every client accepts. Its owner {_REMEDIES[weakness]}."


def _of_chain(finding: Finding, here: Here) -> Iterator[str]:
    """What is wrong with the chain, or that nothing is."""
    faults = finding.faults
    of_chain = [fault for fault in faults if fault not in (Fault.HANDSHAKE, Fault.LEAF_NOT_FIRST)]
    if not of_chain:
        yield from _install(finding) if Fault.LEAF_NOT_FIRST in faults else ["The chain itself is complete."]
    elif Fault.REVOKED in faults:
        yield from _revoked(finding)
    elif Fault.NO_PATH in faults:
        yield from _without_path(finding, here)
    elif Fault.ANCHOR_NOT_ROOT in faults:
        end = f"{output.subject(finding.drawn[-1])}, which {here.anchor_path} trusts, but which is no root"
        yield f"Broken: {output.harmless(finding.refusal or '')}. The path ends at {end}: not every client ends there."
        yield from _works_in(finding)
        yield "Clients should trust its root instead, and the server should send all that leads there."
    elif Fault.REFUSED in faults:
        yield from _with_refused_path(finding, here)
    elif Fault.ANCHOR_IN_THE_WAY in faults:
        yield from _behind_an_anchor(finding, here)
    elif MENDED_BY_CHAIN.isdisjoint(of_chain):
        yield f"Broken: {output.harmless(finding.completed_refusal or '')}. The chain is not the problem."
        yield _remedy(finding)
    else:
        yield from _mended_by_chain(finding)


def _place_of_leaf(finding: Finding) -> str:
    return f"the server's certificate is number {finding.seen.leaf_at + 1} in the file"


def _handshake(finding: Finding) -> Iterator[str]:
    failure = finding.seen.failure or ""
    if not finding.seen.weaknesses:
        reason = output.harmless(failure)
        if failure in FAILURES:
            meaning, remedy = FAILURES[failure]
            yield f"Broken: the handshake fails: {meaning} (OpenSSL: {reason}). Its owner should {remedy}."
        else:
            yield f"Broken: the handshake fails: {reason}. The log of the server may say more."
        return
    meaning = " and ".join(weakness.meaning for weakness in finding.seen.weaknesses)
    yield f"Broken: {meaning}, which not every client accepts (OpenSSL: {output.harmless(failure)})."
    yield from _works_in(finding)
    yield from _remedies(finding.seen.weaknesses)


def _remedies(weaknesses: Iterable[Weakness]) -> Iterator[str]:
    for weakness in weaknesses:
        yield f"Its owner {_REMEDIES[weakness]}."


def _advised(advice: Advice, sent: str) -> str:
    """One piece of advice as a sentence, with the bytes that it would save."""
    names, several = _named(advice.certificates), len(advice.certificates) > 1
    are, them, roots = ("are", "them", "roots") if several else ("is", "it", "a root")
    cost = f"{advice.size:,} bytes in each handshake for nothing"
    return {
        Needless.ROOT: f"Advice: do not send {names}, {roots}, which clients must have anyway: {cost}.",
        Needless.TWICE: f"Advice: send {names} only once: {cost}.",
        Needless.UNUSED: f"Advice: {names} {are} {sent}, but clients of this machine do not need {them}: {cost}.",
        Needless.ORDER: "Advice: send each certificate before its issuer; some clients refuse the wrong order, "
        "which costs no bytes.",
    }[advice.about]


def _named(certificates: Iterable[Certificate]) -> str:
    """The names of certificates, each once; if there are many, only the first few."""
    names = [output.subject(certificate) for certificate in dict.fromkeys(certificates)]
    return ", ".join([*names[:MOST_LISTED], "…"] if len(names) > MOST_LISTED else names)


def _complete(answer: Answer, finding: Finding) -> Iterator[str]:
    failing = [view for view in clients.of(finding) if not view.works]
    if answer.not_asked:
        names = _named(answer.not_asked)
        yield f"Could not tell if revoked, which --revocation=required demands: {names}."
        yield "Apart from that, the chain is complete."
    else:
        gets = " and gets this chain" if answer.part else ""
        clients_of_it = f"every client that trusts the root{gets}"
        if_stapled = IF_STAPLED if finding.must_staple else ""
        yield (
            f"Complete, but not for {clients_of_it}."
            if failing
            else f"Complete: {clients_of_it} can connect{if_stapled}."
        )
    for reason in dict.fromkeys(view.why for view in failing):
        alike = ", ".join(view.client for view in failing if view.why == reason)
        yield f"It fails in {alike}: {output.harmless(reason)}."
    yield from _remedies(finding.weaknesses)


def _revoked(finding: Finding) -> Iterator[str]:
    for certificate, reason in finding.revoked_links.items():
        yield f"Revoked: {output.subject(certificate)}, {output.harmless(reason)}."
    if finding.refusal is None:
        yield "Programs that do not check revocation connect anyway; browsers do not."
    if finding.chain.leaf in finding.revoked_links:
        yield "Its owner needs a new certificate."
    else:
        yield "Its owner needs a certificate from another intermediate."


def _without_path(finding: Finding, here: Here) -> Iterator[str]:
    yield f"Broken: {output.harmless(finding.refusal or '')}. No path to a trust anchor was found."
    last = finding.drawn[-1]
    if finding.not_found is None:
        yield f"It ends at {output.subject(last)}, a root that is not trusted here."
        yield "Its owner needs a certificate from a CA that clients trust, or clients have to trust this root."
        return
    for namesake in finding.namesakes:
        name, source = output.subject(namesake), source_of(namesake, finding)
        yield (
            f"{name}, which is {source}, did not issue {output.subject(last)}, "
            "which names another key as its issuer's (authority key identifier)."
        )
    if not output.ca_issuers(last):
        yield f"{output.subject(last)} names no readable URL for its issuer (AIA), so nobody can look it up."
    elif here.offline:
        yield "Nothing was fetched: AIA_STORE_OFFLINE is set."
    else:
        yield from _of_no_help(last, finding)
    issuer = output.short_name(finding.not_found)
    if finding.namesakes:
        issuer = f"the {issuer} that has this key"
    yield f"Its owner should install {issuer}, from the CA, on the server; if that is a root, clients have to trust it."


def _of_no_help(last: Certificate, finding: Finding) -> Iterator[str]:
    """Why each URL for the missing issuer did not help. Failed URLs are left out: the output lists them elsewhere."""
    named = [url.strip(" \t") for url in last.ca_issuers]
    if len(named) >= Budget.too_many_urls:
        yield f"{len(named)} URLs are named for its issuer, which is too many: none was fetched."
        return
    for url in dict.fromkeys(named):
        shown = output.url(url)
        try:
            checked_url(url)
        except RefusedError as error:
            yield f"{shown} was not fetched: {error}."
            continue
        if url in finding.answered:
            yield f"What {shown} returned is not the issuer."
        elif url not in finding.failed:
            yield f"{shown} was not fetched, because this check has fetched enough."


def _with_refused_path(finding: Finding, here: Here) -> Iterator[str]:
    """What to say if OpenSSL refuses the path to a trust anchor."""
    reason = output.harmless(finding.completed_refusal or finding.refusal or "")
    yield f"Broken: {reason}. OpenSSL refuses the path to the trust anchor {output.subject(finding.drawn[-1])}."
    yield from _works_in(finding)
    if finding.chain_weakness is not None:
        yield f"Its owner {_REMEDIES[finding.chain_weakness]}."
    late = [link for link in finding.drawn[1:] if not link.is_valid_at(finding.chain.now)]
    for link in late:
        if finding.is_anchor(link):
            yield f"{_of_an_anchor(link, here)}: clients need a newer root."
        else:
            yield f"Its owner should replace {output.subject(link)}, which {_out_of_time(link, finding)}."
    if finding.chain_weakness is None and not late:
        yield "Its owner needs other intermediates, or another certificate."


def _out_of_time(certificate: Certificate, finding: Finding) -> str:
    not_before, not_after = certificate.validity
    if not_before > finding.chain.now:
        return f"is not valid before {output.day(not_before)}"
    return f"expired on {output.day(not_after)}"


def _behind_an_anchor(finding: Finding, here: Here) -> Iterator[str]:
    """What to say if a trust anchor of this machine hides the path from OpenSSL."""
    yield f"Broken on this machine: {output.harmless(finding.installed_refusal or '')}."
    for anchor in finding.anchors_in_the_way:
        yield f"{_of_an_anchor(anchor, here)}, and hides the path to {output.subject(finding.drawn[-1])} from OpenSSL."
    yield from _works_in(finding)
    yield f"Remove it from {here.anchor_path}; clients that do not have it can connect."
    if finding.missing:
        yield from _install(finding)


def _of_an_anchor(anchor: Certificate, here: Here) -> str:
    is_over = anchor.validity[1] < time.time()
    state = f"expired on {output.day(anchor.validity[1])}" if is_over else "has the name of another certificate"
    return f"The trust anchor {output.subject(anchor)}, in {here.anchor_path}, {state}"


def _mended_by_chain(finding: Finding) -> Iterator[str]:
    refusal = output.harmless(finding.refusal or "")
    count = len(finding.missing)
    if Fault.WRONG_NAME in finding.faults:
        remaining = output.harmless(finding.completed_refusal or "")
        yield f"Broken: {remaining}. Besides, intermediates are missing: {count}."
    elif Fault.INCOMPLETE in finding.faults:
        yield f"Incomplete: {counted(count, 'intermediate')} must be looked up ({refusal})."
    else:
        yield f"Wrong: a certificate that is {how_sent(finding)} stands in the way of the right one ({refusal})."
    yield from _works_in(finding)
    if Fault.WRONG_NAME in finding.faults:
        yield _remedy(finding)
    yield from _install(finding)


def _install(finding: Finding) -> Iterator[str]:
    yield f"Its owner should install the full chain: {fullchain_command(finding.target)}"


def _works_in(finding: Finding) -> Iterator[str]:
    working, failing = works_in(finding)
    if working:
        yield f"{WORKS_IN}{', '.join(working)}. Fails in: {', '.join(failing)}."


def works_in(finding: Finding) -> tuple[list[str], list[str]]:
    """The clients that are expected to connect, and the others; versions of a client are merged if they agree."""
    found: tuple[list[str], list[str]] = [], []
    seen = clients.of(finding)
    for view in seen:
        agree = all(other.works == view.works for other in seen if other.family == view.family)
        side = found[0 if view.works else 1]
        name = view.family if agree else view.client
        if name not in side:
            side.append(name)
    return found


def _remedy(finding: Finding) -> str:
    leaf = finding.chain.leaf
    if Fault.EXPIRED in finding.faults:
        return f"Its owner should renew the certificate, which expired on {output.day(leaf.validity[1])}."
    if Fault.NOT_YET_VALID in finding.faults:
        return f"The certificate begins on {output.day(leaf.validity[0])}; is the clock of this machine right?"
    if Fault.SELF_SIGNED in finding.faults:
        meanwhile = "until then, clients must be given this one to trust"
        if finding.refusal_if_trusted is not None:
            meanwhile = f"even clients that trust this one refuse it ({output.harmless(finding.refusal_if_trusted)})"
        return f"Its owner should get a certificate from a CA; {meanwhile}."
    target = finding.target
    is_nameless = isinstance(target, FileTarget) and target.servername is None
    wanted = "its host" if is_nameless else output.harmless(target.name)
    remedy = f"Its owner should get a certificate that is valid for {wanted}; this one is for {names_of(leaf)}."
    if is_address(target.name) and not isinstance(target, FileTarget):  # TLS names no address to the server (RFC 6066)
        remedy += " If hosts share the address, check one by its name: --servername NAME."
    return remedy


def headline(answer: Answer) -> str:
    """The result in one line, without the host."""
    finding = answer.finding
    if finding is None:
        return "could not be checked"
    faults = finding.faults
    leaf = finding.chain.leaf
    if answer.not_asked and not faults:
        return "complete, but not known if revoked"
    if not faults:
        for_whom = "" if all(view.works for view in clients.of(finding)) else " for most clients"
        return f"{answer.result}{for_whom}, for {counted(min(map(finding.days_left, finding.links)), 'more day')}"
    weaknesses = [weakness.meaning for weakness in finding.seen.weaknesses]
    handshake = " and ".join(weaknesses) or finding.seen.failure
    said = {
        Fault.HANDSHAKE: f"the handshake fails: {output.harmless(handshake or '')}",
        Fault.REVOKED: f"revoked: {_named(finding.revoked_links)}",
        Fault.EXPIRED: f"expired on {output.day(leaf.validity[1])}",
        Fault.NOT_YET_VALID: f"not valid before {output.day(leaf.validity[0])}",
        Fault.SELF_SIGNED: "self-signed",
        Fault.NO_PATH: f"no path to a trust anchor ({output.harmless(finding.refusal or '')})",
        Fault.REFUSED: f"OpenSSL refuses the path ({output.harmless(finding.completed_refusal or '')})",
        Fault.ANCHOR_IN_THE_WAY: "an expired trust anchor of this machine stands in the way",
        Fault.ANCHOR_NOT_ROOT: "it ends at a trusted certificate that is no root",
        Fault.WRONG_NAME: f"the certificate is for {names_of(leaf)}",
        Fault.LEAF_NOT_FIRST: _place_of_leaf(finding),
        Fault.INCOMPLETE: f"not {how_sent(finding)}: {_named(finding.missing)}",
        Fault.OBSTRUCTED: f"a certificate that is {how_sent(finding)} stands in the way of the right one",
    }
    return f"{answer.result}, {'; '.join(said[fault] for fault in faults)}"


def summary(results: Counter[Result], noun: str) -> str:
    """The number of hosts or files for each result; `noun` says which of the two they are."""
    words = {
        Result.COMPLETE: "complete",
        Result.ENDING: "ending soon",
        Result.INCOMPLETE: "incomplete",
        Result.BROKEN: "broken",
        Result.COULD_NOT_TELL: "could not be checked",
    }
    parts = [f"{results[result]:,} {words[result]}" for result in Result if results[result]]
    return f"{results.total():,} {noun}s: {', '.join(parts)}."


class Link(NamedTuple):
    """One certificate of the path, for output."""

    certificate: Certificate
    kind: str  # "anchor", "missing", "bad", "ending" or "sent"
    fault: str | None  # what is wrong if it is "bad", in words
    notes: list[str]  # what is wrong if it is not sent, how long it is valid, and whether it is revoked


def links(finding: Finding) -> Iterator[Link]:
    """The path, from the leaf upwards, as far as it is known."""
    for certificate in finding.drawn:
        fault = fault_of(certificate, finding)
        is_sent = certificate == finding.chain.leaf or certificate in finding.chain.sent
        notes = [lasting(certificate, finding), revocation_of(certificate, finding)]
        is_last = finding.is_last_anchor(certificate)
        if is_last:
            notes.insert(0, "but no root")
        if (finding.is_anchor(certificate) or is_last) and certificate != finding.chain.leaf:
            kind = "anchor"
        elif certificate in finding.missing or not (is_sent or finding.is_held(certificate) or fault):
            kind = "missing"
        elif fault is not None:
            kind = "bad"
        else:
            kind = "ending" if finding.days_left(certificate) < SOON else "sent"
        yield Link(certificate, kind, fault, list(filter(None, notes)))


def source_of(certificate: Certificate, finding: Finding) -> str:
    """Where a certificate of the path came from."""
    if certificate == finding.chain.leaf or certificate in finding.chain.sent:
        return how_sent(finding)
    url = finding.sources.get(certificate)
    if certificate in finding.stored:
        return "from the store" + (f", fetched from {output.url(url)}" if url is not None else "")
    return f"fetched from {output.url(url)}" if url is not None else "trusted here"


def how_sent(finding: Finding) -> str:
    """How a certificate of the chain came: sent by the server, or in the file."""
    return "in the file" if isinstance(finding.target, FileTarget) else "sent"


def fault_of(certificate: Certificate, finding: Finding) -> str | None:
    """What is wrong with a certificate; None if nothing is."""
    revoked = {**finding.revoked, **finding.revoked_links}
    if certificate in revoked:
        return f"revoked {output.harmless(revoked[certificate])}"
    if finding.is_anchor(certificate):
        return None
    if not certificate.is_valid_at(finding.chain.now):
        return "expired" if finding.days_left(certificate) < 0 else "not yet valid"
    if certificate == finding.chain.leaf:
        if certificate.is_self_signed:
            return "self-signed"
        return "for another name" if Fault.WRONG_NAME in finding.faults else None
    return "not trusted here" if certificate.is_self_signed else None


def uselessness(certificate: Certificate, finding: Finding) -> str:
    """Why a certificate that was sent or found is not part of the path."""
    is_sent = certificate in finding.chain.sent
    how = f"{how_sent(finding)}, but no part of the path" if is_sent else "found, but of no use"
    is_root = certificate.is_self_signed and certificate not in finding.revoked
    why = "a root, which clients do not need" if is_root else fault_of(certificate, finding) or "not needed"
    if certificate in finding.namesakes:
        why = "its key is not that of the issuer"
    return f"{how}: {why}"


def lasting(certificate: Certificate, finding: Finding) -> str:
    """When a certificate expires, and how many days are left."""
    days = finding.days_left(certificate)
    until = output.day(certificate.validity[1])
    return f"until {until} ({counted(days, 'day')})" if days >= 0 else f"until {until} (ended)"


def revocation_of(certificate: Certificate, finding: Finding) -> str:
    """What the issuer's CRL says of a certificate; empty if no CRLs were to be read."""
    status = finding.asked.get(certificate)
    if status is None:
        return ""
    words = {True: f"REVOKED {status.reason}", False: "not revoked", None: f"not known if revoked: {status.reason}"}
    return output.harmless(words[status.is_revoked])


def names_of(leaf: Certificate) -> str:
    """The names that a leaf is valid for."""
    found = host_names(leaf)
    shown = [shortened(name, LONGEST_NAME) for name in found[:MOST_NAMES]]
    return ", ".join([*shown, "…"] if len(found) > MOST_NAMES else shown) or "no host"


def fullchain_command(target: Target | FileTarget) -> str:
    """The command, as a user types it, that checks this host or file again and writes its full chain to a file."""
    words = ["aia-store", "check", target.address]
    options = {"--servername": target.servername}
    if isinstance(target, Target):
        options["--starttls"] = target.starttls
        options["--connect"] = address(*target.connect) if target.connect is not None else None
    for option, value in options.items():
        words += [option, value] if value is not None else []
    return output.harmless(f"{shlex.join(words)} --fullchain FILE")


def how_reached(finding: Finding) -> str:
    """How the host was reached: by STARTTLS, under which name, at which address, or through which proxy."""
    target, seen = finding.target, finding.seen
    parts = []
    if isinstance(target, Target) and target.starttls is not None:
        parts.append(f"STARTTLS ({target.starttls})")
    if target.servername is not None:
        parts.append(f"as {target.servername}")
    if isinstance(target, FileTarget):
        return output.harmless(", ".join(parts))
    if target.connect is not None:
        parts.append(f"at {address(*target.connect)}")
    if seen.proxy is not None:
        parts.append(f"through the proxy {seen.proxy}")
    elif seen.address != target.place[0]:
        parts.append(f"at {seen.address}")
    return output.harmless(", ".join(parts))
