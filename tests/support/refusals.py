"""Kinds of chains that every client refuses, each with the note that explains why.

A kind is a function that makes one, with certificates published on an AIA host. What is in a note besides plain text is
written as a regular expression.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from .aia_host import AIAHost
from .dead import refusing_port
from .pki import Authority, Certified, Leaf, aia_value

DAY = timedelta(days=1)
CHECK = "`aia-store check localhost` shows more (add the port if it is not 443)."
OWNER_SENDS = f"The server's owner should send it; {CHECK}"
OWNER_REPLACES = f"The server's owner has to get another certificate; {CHECK}"
OTHER_PATH = f"The server's owner has to get another certificate, or to send other intermediates; {CHECK}"
IF_GENUINE = "If you know whose it is, and that it is genuine, add it to the CA file that the program is given."
ONLY_LEAF = 'The server sent only its own certificate; the issuer "Test Intermediate" is missing.'
CLOCK = re.compile(r"\d\d:\d\d")
DATE = r"\d{4}-\d\d-\d\d \d\d:\d\d UTC"


@dataclass(frozen=True)
class Refused:
    """What a server sends, what the client trusts, and the lines of the note; a `re.Pattern` matches a whole line."""

    leaf: Leaf
    trusts: Sequence[Certified]
    lines: Sequence[str | re.Pattern[str]]
    sends: Sequence[Certified] = ()
    env: dict[str, str] = field(default_factory=dict)  #: variables that the program runs with

    def is_explained_by(self, note: str) -> bool:
        """Whether this is the note."""
        lines = note.removeprefix("aia-store: ").split("\n")
        return (
            note.startswith("aia-store: ")
            and len(lines) == len(self.lines)
            and all(
                line == wanted if isinstance(wanted, str) else wanted.fullmatch(line) is not None
                for line, wanted in zip(lines, self.lines)
            )
        )


Make = Callable[[AIAHost], Refused]
KINDS: dict[str, Make] = {}


def _kind(make: Make) -> Make:
    KINDS[make.__name__.replace("_", " ")] = make
    return make


def _not_fetched(url: str, reason: str, *, again: bool = True) -> re.Pattern[str]:
    after = r"; asked again after \d\d:\d\d" if again else ""
    return re.compile(re.escape(f"It could not be fetched from {url} ({reason}") + after + re.escape(")."))


def _leaf_only(url: str, *why: str | re.Pattern[str], **env: str) -> Refused:
    """A server that sends its leaf only, which names this URL for its issuer."""
    root = Authority.root()
    leaf = root.intermediate().leaf(aia=[url])
    return Refused(leaf, [root], [ONLY_LEAF, *why, OWNER_SENDS], env=env)


# The issuer cannot be fetched.


@_kind
def nobody_listens(_aia: AIAHost) -> Refused:
    url = f"http://127.0.0.1:{refusing_port()}/issuer.cer"
    return _leaf_only(url, _not_fetched(url, "127.0.0.1 cannot be reached (Connection refused)"))


@_kind
def status_404(aia: AIAHost) -> Refused:
    url = aia.url("/404.cer")
    return _leaf_only(url, _not_fetched(url, "status 404"))


@_kind
def a_reply_without_a_certificate(aia: AIAHost) -> Refused:
    url = aia.publish("/rubbish.cer", b"<html>rubbish</html>")
    return _leaf_only(url, _not_fetched(url, "a reply that holds no certificate"))


@_kind
def an_empty_reply(aia: AIAHost) -> Refused:
    url = aia.publish("/empty.cer", b"")
    return _leaf_only(url, _not_fetched(url, "an empty reply"))


@_kind
def a_reply_too_large(aia: AIAHost) -> Refused:
    url = aia.publish("/large.cer", bytes(70_000))
    return _leaf_only(url, _not_fetched(url, "a reply that is too large"))


@_kind
def a_reply_cut_short(aia: AIAHost) -> Refused:
    url = aia.publish("/short.cer", b"abc", headers={"Content-Length": "10"})
    return _leaf_only(url, _not_fetched(url, "a reply that is cut short"))


@_kind
def a_ring_of_redirects(aia: AIAHost) -> Refused:
    url = aia.redirect("/ring.cer", "/ring.cer")
    return _leaf_only(url, _not_fetched(url, "too many redirects"))


@_kind
def an_address_that_is_not_public(aia: AIAHost) -> Refused:
    url = aia.url("/inner.cer")
    reason = "127.0.0.1 has no public address; AIA_STORE_ALLOWED_NETWORKS can allow others"
    return _leaf_only(url, _not_fetched(url, reason, again=False), AIA_STORE_ALLOWED_NETWORKS="")


@_kind
def a_url_of_ldap(_aia: AIAHost) -> Refused:
    url = "ldap://ldap.example/cn=CA"
    return _leaf_only(url, f"It was not fetched from {url} (only plain http is fetched).")


@_kind
def a_port_that_is_not_allowed(_aia: AIAHost) -> Refused:
    url = "http://127.0.0.1:22/issuer.cer"
    return _leaf_only(url, f"It was not fetched from {url} (port 22 is not allowed).")


@_kind
def too_many_urls(aia: AIAHost) -> Refused:
    root = Authority.root()
    leaf = root.intermediate().leaf(aia=[aia.url(f"/many-{number}.cer") for number in range(12)])
    why = "It was not fetched, because 12 URLs are named for it, which is too many."
    return Refused(leaf, [root], [ONLY_LEAF, why, OWNER_SENDS])


@_kind
def fetching_switched_off(aia: AIAHost) -> Refused:
    why = "It was not fetched, because fetching is switched off (AIA_STORE_OFFLINE)."
    return _leaf_only(aia.url("/offline.cer"), why, AIA_STORE_OFFLINE="1")


@_kind
def another_ca_behind_the_url(aia: AIAHost) -> Refused:
    url = aia.publish("/other.cer", Authority.root().intermediate("Another").der)
    return _leaf_only(url, f"What {url} returned is not the issuer.")


@_kind
def a_hostile_url(_aia: AIAHost) -> Refused:
    url = "http://x.example/\x1b[31m\x85" + 300 * "a"
    seen = r"http://x.example/\x1b[31m\x85" + (160 - 23) * "a" + "..."
    reason = "a URL that is too long, or has characters that belong in none"
    root = Authority.root()
    leaf = root.intermediate().leaf(aia_raw=aia_value(url.encode("latin-1")))
    return Refused(leaf, [root], [ONLY_LEAF, f"It was not fetched from {seen} ({reason}).", OWNER_SENDS])


# Nothing to fetch from, or not enough.


@_kind
def no_url(_aia: AIAHost) -> Refused:
    root = Authority.root()
    remedy = (
        f"{OWNER_SENDS} Or, if it is a root that you know to be genuine, "
        "add it to the CA file that the program is given."
    )
    return Refused(
        root.intermediate().leaf(),
        [root],
        [ONLY_LEAF, "It could not be fetched: no URL is named for it (no AIA).", remedy],
    )


@_kind
def the_wrong_intermediate(aia: AIAHost) -> Refused:
    url = aia.url("/wrong.cer")
    root = Authority.root()
    return Refused(
        root.intermediate().leaf(aia=[url]),
        [root],
        [
            'None of what the server sent issued its own certificate; the issuer "Test Intermediate" is missing.',
            _not_fetched(url, "status 404"),
            OWNER_SENDS,
        ],
        sends=[root.intermediate("Another")],
    )


# Roots that are not trusted.


def _untrusted(leaf: Leaf, *sends: Certified, name: str = "Test Root") -> Refused:
    what = f'The chain ends at the root "{name}", which this program does not trust.'
    return Refused(leaf, [Authority.root("Another Root")], [what, IF_GENUINE], sends=sends)


@_kind
def an_untrusted_root_that_is_sent(_aia: AIAHost) -> Refused:
    root = Authority.root()
    issuer = root.intermediate()
    return _untrusted(issuer.leaf(), issuer, root)


@_kind
def an_untrusted_root_that_is_fetched(aia: AIAHost) -> Refused:
    root = Authority.root()
    issuer = root.intermediate(aia=[aia.publish("/root.cer", root.der)])
    return _untrusted(issuer.leaf(aia=[aia.publish("/issuer.cer", issuer.der)]))


@_kind
def an_untrusted_root_with_a_hostile_name(_aia: AIAHost) -> Refused:
    root = Authority.root("Good\u202eRoot\n" + 40 * "x")
    return _untrusted(root.leaf(), root, name=r"Good\u202eRoot\n" + 40 * "x")


@_kind
def an_untrusted_root_that_nobody_shows(_aia: AIAHost) -> Refused:
    issuer = Authority.root("Company Root").intermediate()
    return Refused(
        issuer.leaf(),
        [Authority.root()],
        [
            'The chain ends at "Test Intermediate", whose issuer "Company Root" was not sent, '
            "and is not trusted by this program.",
            "It could not be fetched: no URL is named for it (no AIA).",
            f"{OWNER_SENDS} Or, if it is a root that you know to be genuine, "
            "add it to the CA file that the program is given.",
        ],
        sends=[issuer],
    )


@_kind
def a_self_signed_certificate(_aia: AIAHost) -> Refused:
    leaf = Leaf._make("localhost", None, {"san": ["localhost"]})
    what = 'The server\'s certificate "localhost" is self-signed: no CA vouches for it.'
    return Refused(leaf, [Authority.root()], [what, IF_GENUINE])


@_kind
def a_self_signed_certificate_that_expired(_aia: AIAHost) -> Refused:
    leaf = Leaf._make("localhost", None, {"san": ["localhost"], "not_after": -DAY})
    what = re.compile(
        'The server\'s certificate "localhost" is self-signed: no CA vouches for it. '
        rf"Besides, it expired on {DATE}\."
    )
    return Refused(leaf, [Authority.root()], [what, OWNER_REPLACES])


@_kind
def a_self_signed_certificate_for_another_name(_aia: AIAHost) -> Refused:
    leaf = Leaf._make("elsewhere", None, {"san": ["elsewhere.example", "*.example"]})
    what = (
        'The server\'s certificate "elsewhere" is self-signed: no CA vouches for it. '
        "Besides, it is for elsewhere.example, *.example, not for localhost."
    )
    return Refused(leaf, [Authority.root()], [what, OWNER_REPLACES])


@_kind
def an_untrusted_root_and_another_name(_aia: AIAHost) -> Refused:
    root = Authority.root()
    what = (
        'The chain ends at the root "Test Root", which this program does not trust. '
        "Besides, the server's certificate is for www.example.org, not for localhost."
    )
    return Refused(root.leaf("www.example.org"), [Authority.root("Another Root")], [what, IF_GENUINE], sends=[root])


@_kind
def an_issuer_with_another_key(_aia: AIAHost) -> Refused:
    root = Authority.root()
    old, new = root.intermediate("Rolling CA"), root.intermediate("Rolling CA")
    remedy = f"{OWNER_SENDS} Or, if it is a root that you know to be genuine, {IF_GENUINE.partition('genuine, ')[2]}"
    return Refused(
        new.leaf(),
        [root],
        [
            'None of what the server sent issued its own certificate: what it sent as "Rolling CA" has another key; '
            'the issuer "Rolling CA" is missing.',
            "It could not be fetched: no URL is named for it (no AIA).",
            remedy,
        ],
        sends=[old],
    )


# Out of their time.


def _out_of_time(what: str, when: str, remedy: str) -> list[str | re.Pattern[str]]:
    return [re.compile(f"{what} {when} {DATE}; this machine's clock says {DATE}\\."), remedy]


RENEW = "The server's owner has to renew it."


@_kind
def an_expired_certificate(_aia: AIAHost) -> Refused:
    root = Authority.root()
    lines = _out_of_time('The server\'s certificate "localhost"', "expired on", RENEW)
    return Refused(root.leaf(not_after=-DAY), [root], lines)


@_kind
def an_expired_certificate_without_its_issuer(aia: AIAHost) -> Refused:
    root = Authority.root()
    lines = _out_of_time('The server\'s certificate "localhost"', "expired on", RENEW)
    return Refused(root.intermediate().leaf(not_after=-DAY, aia=[aia.url("/never.cer")]), [root], lines)


@_kind
def a_certificate_of_the_future(_aia: AIAHost) -> Refused:
    root = Authority.root()
    lines = _out_of_time(
        'The server\'s certificate "localhost"', "is not valid before", "Is this machine's clock right?"
    )
    return Refused(root.leaf(not_before=DAY), [root], lines)


@_kind
def an_expired_intermediate(_aia: AIAHost) -> Refused:
    root = Authority.root()
    issuer = root.intermediate(not_after=-DAY)
    remedy = f"The server's owner has to replace it; {CHECK}"
    lines = _out_of_time('The intermediate "Test Intermediate"', "expired on", remedy)
    return Refused(issuer.leaf(), [root], lines, sends=[issuer])


@_kind
def an_expired_intermediate_that_is_fetched(aia: AIAHost) -> Refused:
    root = Authority.root()
    issuer = root.intermediate(not_after=-DAY)
    remedy = f"The server's owner has to replace it; {CHECK}"
    lines = _out_of_time('The intermediate "Test Intermediate"', "expired on", remedy)
    return Refused(issuer.leaf(aia=[aia.publish("/expired.cer", issuer.der)]), [root], lines)


@_kind
def an_expired_root(_aia: AIAHost) -> Refused:
    root = Authority.root(not_after=-DAY)
    lines = _out_of_time(
        'The trust anchor "Test Root"', "expired on", "The trust anchors of this program have to be renewed."
    )
    return Refused(root.leaf(), [root], lines)


# For other names.

CONNECT_ELSEWHERE = "Connect to a host that it names, or have the server's owner get a certificate for this one."


@_kind
def another_name(_aia: AIAHost) -> Refused:
    root = Authority.root()
    what = "The server's certificate is for www.example.org, not for localhost."
    return Refused(root.leaf("www.example.org"), [root], [what, CONNECT_ELSEWHERE])


@_kind
def many_other_names(_aia: AIAHost) -> Refused:
    root = Authority.root()
    names = ["a.example", "10.1.2.3", "2001:db8::1", "d.example", "e.example"]
    what = "The server's certificate is for a.example, 10.1.2.3, 2001:db8::1 and 2 more, not for localhost."
    return Refused(root.leaf(san=names), [root], [what, CONNECT_ELSEWHERE])


@_kind
def no_name_at_all(_aia: AIAHost) -> Refused:
    root = Authority.root()
    what = "The server's certificate names no host (it has no subjectAltName)."
    return Refused(
        root.leaf("elsewhere", san=[]), [root], [what, "The server's owner has to get a certificate that names it."]
    )


@_kind
def another_name_and_expired(_aia: AIAHost) -> Refused:
    root = Authority.root()
    what = re.compile(
        rf"The server's certificate is for www\.example\.org, not for localhost. Besides, it expired on {DATE}\."
    )
    return Refused(root.leaf("www.example.org", not_after=-DAY), [root], [what, OWNER_REPLACES])


# Against the rules.


@_kind
def a_weak_key(_aia: AIAHost) -> Refused:
    root = Authority.root()
    what = re.compile(r"The key of the server's certificate is too weak for the program's security level \(\d\)\.")
    return Refused(root.leaf(key=rsa.generate_private_key(65537, 1024)), [root], [what, OWNER_REPLACES])


@_kind
def a_weak_digest(_aia: AIAHost) -> Refused:
    root = Authority.root()
    issuer = root.intermediate(hash=hashes.SHA1())
    what = re.compile(
        r"A signature in the chain was made with a digest too weak for the program's security level \(\d\)\."
    )
    return Refused(issuer.leaf(), [root], [what, OWNER_REPLACES], sends=[issuer])


@_kind
def a_weak_intermediate_that_is_fetched(aia: AIAHost) -> Refused:
    root = Authority.root()
    issuer = root.intermediate(key=rsa.generate_private_key(65537, 1024))
    leaf = issuer.leaf(aia=[aia.publish("/weak.cer", issuer.der)])
    what = "A path to a trust anchor was found, but OpenSSL refuses it: CA certificate key too weak."
    return Refused(leaf, [root], [what, OTHER_PATH])


@_kind
def the_wrong_purpose(_aia: AIAHost) -> Refused:
    root = Authority.root()
    what = 'The certificate "localhost" is not meant for a server (extended key usage).'
    return Refused(root.leaf(eku=[ExtendedKeyUsageOID.CLIENT_AUTH]), [root], [what, OWNER_REPLACES])


@_kind
def an_intermediate_of_the_wrong_purpose(_aia: AIAHost) -> Refused:
    root = Authority.root()
    issuer = root.intermediate(eku=[ExtendedKeyUsageOID.CLIENT_AUTH])
    what = 'The certificate "Test Intermediate" is not meant for a server (extended key usage).'
    return Refused(issuer.leaf(), [root], [what, OWNER_REPLACES], sends=[issuer])


@_kind
def a_name_that_is_not_permitted(_aia: AIAHost) -> Refused:
    root = Authority.root()
    issuer = root.intermediate(permitted=["example.org"])
    what = "A name in the certificate is not among those that a CA of the chain may issue for (name constraints)."
    return Refused(issuer.leaf(), [root], [what, OWNER_REPLACES], sends=[issuer])


@_kind
def an_excluded_name(_aia: AIAHost) -> Refused:
    root = Authority.root()
    issuer = root.intermediate(excluded=["localhost"])
    what = "A name in the certificate is among those that a CA of the chain may not issue for (name constraints)."
    return Refused(issuer.leaf(), [root], [what, OWNER_REPLACES], sends=[issuer])


@_kind
def a_chain_too_long_for_its_root(_aia: AIAHost) -> Refused:
    root = Authority.root(path_length=0)
    issuer = root.intermediate()
    what = "The chain is longer than one of its CAs permits (path length constraint)."
    return Refused(issuer.leaf(), [root], [what, OWNER_REPLACES], sends=[issuer])


@_kind
def an_issuer_that_is_no_ca(_aia: AIAHost) -> Refused:
    root = Authority.root()
    issuer = root.intermediate(ca=False, key_usage=None)
    what = "A certificate of the chain was issued by one that is not a CA."
    return Refused(issuer.leaf(), [root], [what, OWNER_REPLACES], sends=[issuer])


@_kind
def a_wrong_signature(_aia: AIAHost) -> Refused:
    root = Authority.root()
    issuer = root.intermediate()
    leaf = issuer.leaf(signed_by=Authority.root().key)
    what = "A signature in the chain is wrong: a certificate was changed, or another key made it."
    return Refused(leaf, [root], [what, OWNER_REPLACES], sends=[issuer])
