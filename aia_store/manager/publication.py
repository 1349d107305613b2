"""Build and publish the bundle. While it is replaced, a program reads the old or the new bundle, never a mixture."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

from ..inside.certificate import Certificate, subject_hash, to_cadata
from ..inside.settings import Settings
from ..inside.store import BUNDLE, Folder, IntermediateStore, open_store
from . import export_memory, roots, trust_folder
from .accepted_paths import Verified
from .published import FILE, FOLDER, NAMING_VARIABLES, BundleError, BundleForm, changes, file_identity
from .roots.pem_files import BUNDLE_MARK, loaded
from .snapshot import Snapshot

if TYPE_CHECKING:
    from .export_rules import Progress
    from .verify import Verifier


class Publication:
    """One publication of the bundle, made from the present trust anchors and store. Raises RootsError."""

    def __init__(self, settings: Settings, home: Folder, verifier: Verifier | None, progress: Progress) -> None:
        self._home = home
        self._progress = progress
        self._changes = changes(settings)
        self._roots_set, self._extra_roots = settings.roots, settings.extra_roots
        self._source = roots.source(settings)
        self._identities = [[path, file_identity(path)] for path in roots.watched(self._source)]
        self._anchors = roots.load(self._source)
        self._store = open_store(settings)
        if verifier is not None and verifier.roots != self._anchors:
            verifier = None  # the machine's trust has changed since
        self._verifier = verifier
        self._verified = verifier.verified if verifier is not None else Verified(home, self._anchors)

    def file(self) -> None:
        """Publish the bundle as a file. Raises BundleError if OpenSSL does not load all of it, and OSError."""
        found = self._exported(self._store.certificates(), self._store, in_folder=False)
        text = _text(self._anchors, found)
        if loaded(text.decode("ascii")) != len(self._anchors) + len(found):
            raise BundleError(
                f"OpenSSL does not load every trust anchor of {self._source.name}; remove those that it does not"
            )
        self._home.write(text, BUNDLE, mode=0o644, durable=True)
        self._note(FILE, len(found), min((one.validity[1] for one in found), default=2**40))

    def folder(self) -> None:
        """Publish the trust folder. Raises OSError."""
        store = Snapshot(self._store.folders)
        memory = export_memory.Memory(self._home, store.folders, self._anchors)
        verdicts = memory.standing(store.names)
        new = map(store.certificate, [one for one in store.names if one not in verdicts])
        judged = [certificate for certificate in new if certificate is not None]
        exported = set(self._exported(judged, store, in_folder=True))
        for certificate in judged:
            verdicts[certificate.fingerprint] = export_memory.verdict(certificate, is_exported=certificate in exported)

        standing = trust_folder.contents(self._home)
        texts = self._texts(store, verdicts, set(standing.values()))
        intermediates = sorted(one for one in verdicts if verdicts[one].is_exported)
        hashes = [(subject_hash(anchor.subject_key), anchor.fingerprint) for anchor in self._anchors]
        hashes += [(verdicts[one].subject_hash, one) for one in intermediates]
        trust_folder.publish(self._home, trust_folder.names(hashes), standing, texts)
        trust_folder.put_one_anchor(self._home, _text(self._anchors[:1], []))
        until = memory.save(verdicts, [*self._anchors, *judged])
        self._note(FOLDER, len(intermediates), until)

    def _exported(self, asked: list[Certificate], store: IntermediateStore, *, in_folder: bool) -> list[Certificate]:
        """Those of the `asked` certificates that may be exported, sorted by fingerprint."""
        if not asked:
            return []
        from .export_rules import Export  # it takes long to import

        verifier = None if in_folder else self._verifier
        export = Export(self._anchors, store, verifier, self._verified, with_preloaded=in_folder)
        found = export.among(asked, self._progress)
        self._verified.save()
        return found

    def _texts(self, store: Snapshot, verdicts: export_memory.Verdicts, standing: set[str]) -> dict[str, bytes]:
        """The PEM of all anchors and of new intermediates, by fingerprint. Drops verdicts on removed certificates."""
        texts = {anchor.fingerprint: anchor.pem.encode("ascii") for anchor in self._anchors}
        for fingerprint in {one for one in verdicts if verdicts[one].is_exported} - standing:
            certificate = store.certificate(fingerprint)
            if certificate is None:
                del verdicts[fingerprint]
            else:
                texts[fingerprint] = certificate.pem.encode("ascii")
        return texts

    def _note(self, form: BundleForm, intermediates: int, until: float) -> None:
        values = ["", FILE.path(self._home), *(os.environ.get(name, "") for name in NAMING_VARIABLES)]
        state = {
            "built": time.time(),
            "until": until,
            "bundle": form.identity(form.path(self._home)),
            "roots_set": self._roots_set,
            "extra_roots": self._extra_roots,
            "source": None if self._source.is_fallback else self._source.path,
            "roots": self._identities,
            "named": values if self._source.preferred else None,  # of NAMING_VARIABLES; None if they do not matter
            "changes": self._changes,
            "counts": [len(self._anchors), intermediates],
        }
        self._home.write(json.dumps(state).encode(), form.note, mode=0o644)


def _text(anchors: list[Certificate], intermediates: list[Certificate]) -> bytes:
    heading = BUNDLE_MARK + f"{len(anchors)} trust anchors, {len(intermediates)} intermediates\n".encode()
    return heading + to_cadata(certificate.der for certificate in [*anchors, *intermediates]).encode("ascii")
