"""A hand-made world: a store, a program's context with the hook, and plain OpenSSL for comparison."""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence
from pathlib import Path

import aia_store
from aia_store.inside.certificate import Certificate
from aia_store.inside.store import Folder
from tests.support.pki import Authority, Certified, Leaf, der_of, pem

from . import generator
from .judge import Judge, apply
from .memory import Outcome, Servers
from .model import Settings

KEY = generator.KEYS[generator.SERVER_KEY]  # of all leaves, as the servers have but one


class Scene:
    """One program, which trusts some anchors under some settings; both can change between two handshakes."""

    def __init__(
        self, folder: Path, *anchors: Certified, settings: Settings, planted: Sequence[Certified] = ()
    ) -> None:
        self.folder = folder
        self.servers = Servers(KEY, folder)
        self.store = Folder(str(folder / "store"))
        os.environ["AIA_STORE_DIR"] = self.store.path
        for item in planted:
            self.store.keep(Certificate(der_of(item)))
        self.settings = settings
        self.anchors = [der_of(anchor) for anchor in anchors]
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        aia_store.complete(self.context)
        apply(settings, self.context)
        if anchors:
            self.context.load_verify_locations(cadata=pem(*anchors))

    def meet(self, *sent: Certified, host: str = "localhost") -> Outcome:
        """A handshake with the hook."""
        return self.servers.meet(
            lambda reads, writes: self.context.wrap_bio(reads, writes, server_hostname=host),
            [der_of(item) for item in sent],
        )

    def plain(self, *sent: Certified, host: str = "localhost") -> Outcome:
        """The same without the hook."""
        judge = Judge(self.servers, self.settings, pem(*self.anchors), None, host)
        return judge.verdict([der_of(item) for item in sent])

    def change(self, settings: Settings) -> None:
        """The program sets something else."""
        self.settings = settings
        apply(settings, self.context)

    def kept(self) -> set[str]:
        """The names of the files in the store."""
        return {Path(path).stem for path in self.store.paths()}

    def added(self) -> set[bytes]:
        """What the hook added to the context, which must be nothing."""
        return set(self.context.get_ca_certs(binary_form=True)) - set(self.anchors)


def leaf(issuer: Authority, host: str = "localhost", url: str | None = None) -> Leaf:
    """A server's certificate."""
    return issuer.leaf(host, key=KEY, aia=[url] if url else [])
