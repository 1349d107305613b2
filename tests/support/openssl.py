"""The server of the openssl command, for what Python's `ssl` cannot do: old versions, weak ciphers, several keys."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cryptography.hazmat.primitives.asymmetric import rsa

from .pki import Authority, Certified, Leaf, pem, pem_blocks

if TYPE_CHECKING:
    from typing import Self

#: A Diffie-Hellman group of 1,024 bits (RFC 2409, 6.2), as `openssl dhparam` writes it.
_SMALL_DH = """-----BEGIN DH PARAMETERS-----
MIGHAoGBAP//////////yQ/aoiFowjTExmKLgNwc0SkCTgiKZ8x0Agu+pjsTmyJR
Sgh5jjQE3e+VGbPNOkMbMCsKbfJfFDdP4TVtbVHCReSFtXZiXn7G9ExC6aY37WsL
/1y29Aa37e44a/taiZ+lrp8kEXxLH+ZJKGZR7OZTgf//////////AgEC
-----END DH PARAMETERS-----
"""

#: The options of servers that clients of today refuse.
WEAK = {
    "TLS 1.0 only": ("-tls1",),
    "TLS 1.1 only": ("-tls1_1",),
    "static RSA only": ("-tls1_2", "-cipher", "kRSA:@SECLEVEL=0"),
    "SHA-1 signatures only": ("-tls1_2", "-sigalgs", "RSA+SHA1"),
    "a small DH group": ("-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0", "-dhparam", _SMALL_DH),
    "SHA-1 suites only": ("-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA:@SECLEVEL=0"),
    "CBC suites only": ("-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA256:@SECLEVEL=0"),
    "DHE only": ("-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0"),
    "DHE with SHA-1 only": ("-tls1_2", "-cipher", "DHE-RSA-AES128-SHA:@SECLEVEL=0"),
    "Camellia only": ("-tls1_2", "-cipher", "ECDHE-RSA-CAMELLIA128-SHA256:@SECLEVEL=0"),
}


def small_key() -> rsa.RSAPrivateKey:
    """An RSA key of 1,024 bits."""
    return rsa.generate_private_key(65537, 1024)


class PSSLeaf(NamedTuple):
    """A server's certificate and key as the openssl command makes them: `cryptography` makes no such keys."""

    pem: str
    key_pem: str

    @property
    def der(self) -> bytes:
        """The certificate in DER."""
        return pem_blocks(self.pem)[0]


def pss_leaf(issuer: Authority) -> PSSLeaf:
    """A certificate for localhost with an RSA key that is for RSASSA-PSS only (RFC 4055)."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "ca.pem").write_text(issuer.key_pem + issuer.pem, encoding="ascii")
        (folder / "extensions").write_text("subjectAltName=DNS:localhost\nauthorityKeyIdentifier=keyid\n", "ascii")
        for command in (
            "genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -out key.pem",
            "req -new -key key.pem -subj /CN=localhost -out request.pem",
            "x509 -req -in request.pem -CA ca.pem -CAkey ca.pem -set_serial 7 -extfile extensions -out leaf.pem",
        ):
            subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)
        return PSSLeaf(*((folder / name).read_text(encoding="ascii") for name in ("leaf.pem", "key.pem")))


class OpenSSLServer:
    """`openssl s_server`, which answers HTTP, at security level 0 with all ciphers unless `options` say otherwise.

    With `second`, it has two certificates, of different kinds of keys. It listens at the address
    and port `at`; `port` is which one it got.
    """

    def __init__(
        self,
        leaf: Leaf | PSSLeaf,
        sends: Sequence[Certified] = (),
        options: Sequence[str] = (),
        *,
        second: tuple[Leaf, Sequence[Certified]] | None = None,
        at: str = "127.0.0.1:0",
    ) -> None:
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            command = ["openssl", "s_server", "-accept", at, "-www", "-no-CAfile", "-no-CApath"]
            command += _certified(folder, "", leaf, sends)
            if second is not None:
                command += _certified(folder, "d", *second)
            (folder / "dh.pem").write_text(_SMALL_DH, encoding="ascii")
            command += [str(folder / "dh.pem") if option is _SMALL_DH else option for option in options]
            command += [] if "-cipher" in options else ["-cipher", "ALL:@SECLEVEL=0"]
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            assert self._process.stdout is not None
            said = [""]
            while not said[-1].startswith("ACCEPT"):
                said.append(self._process.stdout.readline())
                assert said[-1], f"it did not start: {''.join(said)}"
            # It only says which port it got if it had the choice.
            self.port = int((said[-1].strip() if ":" in said[-1] else at).rpartition(":")[2])

    @property
    def url(self) -> str:
        """Its URL."""
        return f"https://localhost:{self.port}/"

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _certified(folder: Path, prefix: str, leaf: Leaf | PSSLeaf, sends: Sequence[Certified]) -> list[str]:
    """The options for a certificate and what is sent after it; the prefix `d` is for the second one."""
    file = folder / f"{prefix}leaf.pem"
    file.write_text(leaf.key_pem + leaf.pem, encoding="ascii")
    options = [f"-{prefix}cert", str(file), f"-{prefix}key", str(file)]
    if sends:
        chain = folder / f"{prefix}chain.pem"
        chain.write_text(pem(*sends), encoding="ascii")
        options += [f"-{prefix}cert_chain", str(chain)]
    return options
