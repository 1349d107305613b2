"""Play one world: its program meets its servers one after the other, with the hook."""

from __future__ import annotations

import _ssl
import hashlib
import os
import ssl
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import aia_store
from aia_store.inside import patch
from aia_store.inside.certificate import Certificate, canonical_name
from aia_store.inside.store import Folder
from tests.support.pki import pem

from .judge import Judge, apply, paths
from .memory import Outcome, Servers
from .model import Made, Server, Settings, Step, World

#: Attaches a completion to a context of a world's program; the folder is for what it needs.
Attach = Callable[[ssl.SSLContext, World, Path], None]


def with_the_hook(context: ssl.SSLContext, world: World, _: Path) -> None:
    """Attach as the world says."""
    if world.process_wide:
        aia_store.enable()
    else:
        aia_store.complete(context)


def new_context(*, unseen: bool) -> ssl.SSLContext:
    """A client's context; `unseen` by the hook, as one that was made before it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if unseen:
        patch._states.pop(id(context), None)
    return context


class Trial:
    """One world as it is played: its store, its context, and what its program trusts by now."""

    def __init__(self, servers: Servers, world: World, folder: Path, attach: Attach) -> None:
        self.servers = servers
        self.world = world
        self.folder = folder
        self.attach = attach
        self.made = {made.der: made for made in world.certificates}
        self.anchors = list(world.anchors)
        self.settings = world.settings
        self.step = -1
        self.before: tuple[int, ...] = ()  #: what the hook must leave as it is
        self.proved: set[Made] = set()  #: what was seen to be on an accepted path
        self._judges: dict[tuple[object, ...], Judge] = {}
        self.store = Folder(str(folder / "store"))
        os.environ["AIA_STORE_DIR"] = self.store.path
        self.planted = {Path(self.store.keep(Certificate(made.der))) for made in world.planted}
        for made, name in world.misplaced:
            self.planted |= _misplace(self.store, made, name)
        self.directory = self._hashed_directory(world.in_directory) if world.in_directory else None

    def play(self) -> Iterator[tuple[Step, Outcome]]:
        """Each handshake, and how it ended."""
        world = self.world
        self.context = context = new_context(unseen=world.attached_late)
        if not world.attached_late:
            self.attach(context, world, self.folder)
        self.set_up(context, unseen=world.attached_late)
        early: dict[int, tuple[Any, ssl.MemoryBIO, ssl.MemoryBIO]] = {}
        for number, step in enumerate(world.steps):
            if step.early:
                reads, writes = ssl.MemoryBIO(), ssl.MemoryBIO()
                client = context.wrap_bio(reads, writes, server_hostname=step.server.host)
                early[number] = client, reads, writes
        if world.attached_late:
            self.attach(context, world, self.folder)
        for number, step in enumerate(world.steps):
            self.step = number
            self._change(step)
            if number in early:
                yield step, self.servers.finish(*early[number], step.server.message, tls_1_2=step.tls_1_2)
            else:
                yield step, self.meet(context, step.server, step.tls_1_2)

    def set_up(self, context: ssl.SSLContext, *, unseen: bool = False) -> None:
        """Give a context the program's settings and anchors; `unseen` by the hook, which is not there yet."""
        apply(self.settings, context)
        owner = _ssl._SSLContext if unseen else ssl.SSLContext
        if self.anchors:
            owner.load_verify_locations(context, **self.source(self.anchors))
        if self.world.crls:
            owner.load_verify_locations(context, cafile=self._file(self.world.crl_text))
        if self.directory is not None:
            owner.load_verify_locations(context, capath=self.directory)

    def source(self, anchors: Sequence[Made]) -> dict[str, Any]:
        """What the program says to `load_verify_locations` for these anchors."""
        text = self.world.text(anchors)
        return {"cafile": self._file(text)} if self.world.trust else {"cadata": text}

    def meet(self, context: ssl.SSLContext, server: Server, tls_1_2: bool) -> Outcome:
        """One handshake."""
        return self.servers.meet(
            lambda reads, writes: context.wrap_bio(reads, writes, server_hostname=server.host),
            server.message,
            tls_1_2=tls_1_2,
        )

    def state(self) -> tuple[int, ...]:
        """What the hook must leave as it is."""
        context = self.context
        return context.verify_flags, context.options, getattr(context, "security_level", 2), context.verify_mode

    def settings_of(self, step: Step) -> Settings:
        """What holds for the connection: an SSL object keeps what held when it was made."""
        return self.world.settings if step.early else self.settings

    @property
    def trusted(self) -> list[Made]:
        """All that the program trusts by now."""
        return [*self.anchors, *self.world.in_directory]

    def added(self) -> list[Made]:
        """What the context holds beyond the program's own, which must be nothing."""
        own = {made.der for made in self.trusted}
        ders: list[bytes] = _ssl._SSLContext.get_ca_certs(self.context, True)
        return [self.made[der] for der in ders if der not in own]

    def judge(self, host: str | None, settings: Settings, anchor: Made | None = None) -> Judge:
        """Plain OpenSSL with all that the program trusts, or with one of its anchors alone."""
        trusted = self.anchors if anchor is None else [anchor]
        key = (host, settings, anchor, *trusted)
        if key not in self._judges:
            directory = self.directory if anchor is None else None
            self._judges[key] = Judge(
                self.servers, settings, self.world.text(trusted) + self.world.crl_text, directory, host
            )
        return self._judges[key]

    def accepts(self, host: str | None, settings: Settings, path: Sequence[Made]) -> bool:
        """Whether plain OpenSSL accepts exactly this path, from a leaf to an anchor: promise 1.

        The anchor is alone in the store, the rest is sent. Nor may the program reject an intermediate on the way.
        """
        if any(made in self.world.trust and not self.world.trust[made].is_for_servers for made in path[1:-1]):
            return False
        *below, anchor = path
        message = [made.der for made in (below or path)]
        return self.judge(host, settings, anchor).accepts(message)

    def paths(self, leaf: Made) -> Iterator[list[Made]]:
        """All true paths from a leaf to what the program trusts."""
        return paths(leaf, self.trusted, lambda _: self.world.certificates)

    def story(self, detail: str) -> str:
        """The world, and where in it something was found."""
        return f"{self.world}\nat step {self.step}: {detail}\nnow {self.settings}"

    def _change(self, step: Step) -> None:
        if step.load:
            self.context.load_verify_locations(**self.source(step.load))
            self.anchors += step.load
        if step.settings is not None:
            self.settings = step.settings
            apply(self.settings, self.context)
        self.before = self.state()

    def _file(self, text: str) -> Path:
        file = self.folder / f"trust {len(list(self.folder.iterdir()))}.pem"
        file.write_text(text, encoding="ascii")
        return file

    def _hashed_directory(self, certificates: Sequence[Made]) -> Path:
        path = self.folder / "anchors"
        path.mkdir()
        for made in certificates:
            digest = hashlib.sha1(canonical_name(Certificate(made.der).subject), usedforsecurity=False).digest()
            name = f"{int.from_bytes(digest[:4], 'little'):08x}"
            number = len(list(path.glob(f"{name}.*")))
            (path / f"{name}.{number}").write_text(self.world.text([made]), encoding="ascii")
        return path


def _misplace(store: Folder, made: Made, name: Made) -> set[Path]:
    """Put a certificate where another's name belongs, beside the other."""
    right = Path(store.keep(Certificate(name.der)))
    wrong = right.with_name(f"{Certificate(made.der).fingerprint}.pem")
    wrong.write_text(pem(made.der), encoding="ascii")
    return {right, wrong}
