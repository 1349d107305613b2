"""What the system distrusts, according to p11-kit's trust folders: on Fedora, RHEL, Arch, SUSE and similar systems.

A PEM file of trust anchors only says what is trusted. p11-kit's own files also say what is distrusted: by certificate,
by public key, or by issuer and serial number. They may also say from which date on an anchor's new certificates are
distrusted. We read them as `trust extract` does: if one file distrusts a certificate, no certificate with its key is an
anchor. p11-kit's notes on its persistence format and the manual of its trust module describe the format.
"""

from __future__ import annotations

import binascii
import os
import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote_to_bytes

from ...inside.certificate import (
    INTEGER,
    OID,
    SEQUENCE,
    SERVER_AUTH,
    Certificate,
    DERError,
    canonical_name,
    elements,
    encode,
    expect,
    readable,
)
from .pem_files import DamagedError, contents

FOLDERS = (
    "/etc/pki/ca-trust/source",  # Fedora, RHEL
    "/usr/share/pki/ca-trust-source",
    "/etc/ca-certificates/trust-source",  # Arch
    "/usr/share/ca-certificates/trust-source",
    "/etc/pki/trust",  # SUSE
    "/usr/share/pki/trust",
)
_BLOCKED = ("blocklist", "blacklist")  # everything in these folders is distrusted, whatever a file says
_INNER = ("anchors", *_BLOCKED)

MOST_FILES = 1_000  # in one folder

_SECTION = b"[p11-kit-object-v1]"
_BLOCK = re.compile(rb"-----BEGIN ([A-Z ]{1,40})-----([A-Za-z0-9+/=\s]*)-----END \1-----")
_ATTRIBUTE = re.compile(rb"^[ \t]*([a-z0-9-]+)[ \t]*[:=][ \t]*(.*?)[ \t]*\r?$", re.MULTILINE)
_SAYS_SOMETHING = re.compile(rb"x-distrusted[ \t]*[:=][ \t]*true|nss-server-distrust-after")
_NO_DATE = (b"", b"\0", b"false")  # the values that mean "never"
_FOR_TLS_SERVERS = (encode(OID, SERVER_AUTH), encode(OID, b"\x55\x1d\x25\x00"))  # or for all


class Distrust:
    """What the files in these folders of p11-kit distrust. `notes` names what could not be read, one line each."""

    def __init__(self, folders: Iterable[str] = FOLDERS) -> None:
        self._certificates: set[bytes] = set()
        self._serials: set[tuple[bytes, bytes]] = set()  # an issuer's canonical name, and a serial number
        self._keys: set[bytes] = set()
        self._limited: set[bytes] = set()  # keys of anchors whose new certificates are distrusted from a date on
        self.notes: list[str] = []
        for folder in _parts(folders):
            for path in files(folder):
                self._read(path, os.path.basename(folder) in _BLOCKED)

    def names(self, certificate: Certificate) -> bool:
        """Whether this certificate is distrusted: by itself, by its key, or by its issuer and serial number."""
        return (
            certificate.der in self._certificates
            or certificate.public_key in self._keys
            or (certificate.issuer_key, _bare(certificate.serial)) in self._serials
        )

    def limits(self, certificate: Certificate) -> bool:
        """Whether the system distrusts the certificates that this anchor's key signed after some date."""
        return certificate.public_key in self._limited

    def _read(self, path: str, blocked: bool) -> None:
        try:
            text = contents(path)
        except OSError as error:
            self.notes.append(f"{path} cannot be read ({error.strerror or error})")
            return
        except DamagedError as error:
            self.notes.append(f"{path} {error}")
            return
        if _SECTION in text:
            for section in text.split(_SECTION)[1:]:
                if blocked or _SAYS_SOMETHING.search(section):  # one in a hundred does, and parsing takes time
                    self._read_object(section, path, blocked)
            return
        certificates = list(_certificates(text))
        for der, is_rejected in certificates or [(text, False)]:
            if blocked or is_rejected:
                self._distrust(der, path)

    def _read_object(self, section: bytes, path: str, blocked: bool) -> None:
        attributes = {
            name.decode("ascii"): _value(value) for name, value in _ATTRIBUTE.findall(_BLOCK.sub(b"", section))
        }
        ders = [der for der, _ in _certificates(section)]
        if not ders and attributes.get("value", b"")[:1] == b"\x30" and "object-id" not in attributes:
            ders = [attributes["value"]]
        if blocked or attributes.get("x-distrusted") == b"true":
            for der in ders:
                self._distrust(der, path)
            keys = [key for kind, key in _blocks(section) if kind == b"PUBLIC KEY"]
            self._keys.update(keys)
            by_serial = "serial-number" in attributes and self._distrust_serial(attributes)
            if not (ders or keys or by_serial):
                self.notes.append(f"{path} distrusts something that cannot be read")
        elif attributes.get("nss-server-distrust-after", b"") not in _NO_DATE:
            self._limited.update(certificate.public_key for certificate in readable(ders))

    def _distrust(self, der: bytes, path: str) -> None:
        certificate = next(readable([der]), None)
        if certificate is None:
            self.notes.append(f"{path} distrusts something that cannot be read")
            return
        self._certificates.add(der)
        self._keys.add(certificate.public_key)
        self._serials.add((certificate.issuer_key, _bare(certificate.serial)))

    def _distrust_serial(self, attributes: dict[str, bytes]) -> bool:
        serial = attributes["serial-number"]
        try:
            start, stop = expect(serial, 0, len(serial), INTEGER)
            self._serials.add((canonical_name(attributes.get("issuer", b"")), _bare(serial[start:stop])))
        except DERError:
            return False
        return True


def watched(folders: Iterable[str] = FOLDERS) -> list[str]:
    """All p11-kit folders that can distrust something, and every file in them. Some of the folders may not exist."""
    return [path for folder in _parts(folders) for path in (folder, *files(folder))]


def _parts(folders: Iterable[str]) -> list[str]:
    """These folders of p11-kit, and those of their subfolders that can distrust something; they may not exist."""
    return [part for folder in folders for part in (folder, *(os.path.join(folder, name) for name in _INNER))]


def files(folder: str) -> list[str]:
    """The paths of the files in a folder, sorted, without hidden ones, which p11-kit does not read either."""
    try:
        names = sorted(name for name in os.listdir(folder) if not name.startswith("."))[:MOST_FILES]
    except OSError:
        return []
    return [path for name in names if not os.path.isdir(path := os.path.join(folder, name))]


def _value(text: bytes) -> bytes:
    """The value of an attribute. If it is in quotes, they are removed, and it is percent-decoded."""
    return unquote_to_bytes(text[1:-1]) if len(text) > 1 and text[:1] == text[-1:] == b'"' else text


def _bare(serial: bytes) -> bytes:
    return serial.lstrip(b"\0")


def _blocks(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The label and the decoded content of every PEM block."""
    for label, body in _BLOCK.findall(text):
        try:
            yield label, binascii.a2b_base64(body)
        except binascii.Error:
            continue


def _certificates(text: bytes) -> Iterator[tuple[bytes, bool]]:
    """Each certificate (DER) in a PEM text, and whether the trust settings behind it reject it for TLS servers."""
    for label, der in _blocks(text):
        if label == b"CERTIFICATE":
            yield der, False
        elif label == b"TRUSTED CERTIFICATE":
            try:
                _, end = expect(der, 0, len(der), SEQUENCE)
                yield der[:end], _is_rejected(der[end:])
            except DERError:
                continue


def _is_rejected(settings: bytes) -> bool:
    """Whether OpenSSL's trust settings (X509_CERT_AUX) for a certificate reject it for TLS servers."""
    if not settings:
        return False
    start, end = expect(settings, 0, len(settings), SEQUENCE)
    rejected = [settings[inner:stop] for tag, _, inner, stop in elements(settings, start, end) if tag == 0xA0]
    return any(
        settings_of[at:stop] in _FOR_TLS_SERVERS
        for settings_of in rejected
        for _, at, _, stop in elements(settings_of, 0, len(settings_of))
    )
