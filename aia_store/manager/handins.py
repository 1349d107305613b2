"""Take hand-ins (intermediates that users leave in the hand-in folder), and keep the valid ones in the machine's store.

Everything in the folder may be hostile. Certificates are verified up to the machine's trust anchors, and every program
verifies them again, so no user can change what others trust. Each user's files, time and part of the store are limited,
so no user can block the others. Users come in random order. The path of one user's hand-in may not contain another
user's hand-in. Nothing in the store is replaced or removed. Whatever was examined is removed from the folder, even if
it is not kept: files, links, FIFOs, devices and empty folders.
"""

from __future__ import annotations

import contextlib
import os
import random
import stat
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from ..inside import handin
from ..inside.certificate import Certificate, pem_certificates, readable
from ..inside.settings import Settings
from ..inside.store import READ_FLAGS, Folder, IntermediateStore, hand_in_folder, open_store
from . import roots
from .quotas import Shares
from .revocation.record import reader
from .verify import Verifier, VerifyError

MOST_ENTRIES = 200_000  # that are looked at in one run, not counting folders
MOST_OF_ONE_USER = 64  # files of one user that are read in one run
SECONDS_FOR_ONE_USER = 3.0
SECONDS = 30.0  # for verifying, in one run
SECONDS_TO_LOOK = 30.0  # for listing the folder
SECONDS_TO_CLEAR = 30.0  # for removing rubbish, which may arrive faster than it is removed
SETTLED_AFTER = 1.0  # seconds; an unreadable file that is younger may be incomplete

_PLACE_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)


class CollectError(Exception):
    """The hand-in folder cannot be used, or the store cannot be written. The message, one line, says what to do."""


class Collected(NamedTuple):
    """What a run did: how many intermediates are new in the store, and how many files were refused and removed.

    `more`: a limit was reached, or a file was still incomplete. A run a second later will find more.
    """

    kept: int
    refused: int
    more: bool = False


def collect(settings: Settings) -> Collected:
    """Take everything out of the hand-in folder, and keep the valid intermediates in the machine's store.

    If the folder is missing, it is made. If this user may not write the store, nothing is done. Raises CollectError and
    RootsError; what was not examined before the error stays in the folder.
    """
    path = hand_in_folder(settings)
    store = open_store(settings)
    site = store.home
    if path is None or site is None or not site.shared or not hasattr(os, "O_DIRECTORY"):
        return Collected(0, 0)
    place = _opened(path)
    try:
        return _Collection(place, site, store, settings).run()
    except OSError as error:
        raise CollectError(f"{site.path} cannot be written ({error.strerror}); the hand-ins wait") from error
    finally:
        os.close(place)


def _opened(path: str) -> int:
    """Open the hand-in folder and return its descriptor. Makes the folder and sets its mode. Raises CollectError."""
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o700)
        place = os.open(path, _PLACE_FLAGS)
    except OSError as error:
        raise CollectError(f"{path} cannot be used ({error.strerror}); remove it, it will be made again") from error
    try:
        if stat.S_IMODE(os.fstat(place).st_mode) != handin.MODE:
            os.fchmod(place, handin.MODE)
    except OSError as error:
        os.close(place)
        raise CollectError(f"{path} belongs to another user; remove it, it will be made again") from error
    return place


class _Collection:
    def __init__(self, place: int, site: Folder, store: IntermediateStore, settings: Settings) -> None:
        self._place = place
        self._site = site
        self._store = store
        self._settings = settings
        self._shares = Shares(site)
        self._rubbish: list[tuple[str, Callable[..., None]]] = []  # names, and what removes each
        self._kept = self._refused = 0
        self._more = False

    def run(self) -> Collected:
        users = list(self._names().items())
        if users:
            random.shuffle(users)
            anchors = roots.load(roots.source(self._settings))
            verifier = Verifier(anchors, self._store.find, reader(self._store.folders))
            deadline = time.monotonic() + SECONDS
            for user, names in users:
                if time.monotonic() > deadline:
                    self._more = True
                    break
                self._take(user, names, verifier)
            self._shares.save()
        self._clear()
        return Collected(self._kept, self._refused, self._more)

    def _names(self) -> dict[int, list[str]]:
        """The names of each user's files, by user id, up to a limit. All else in the folder is noted as rubbish."""
        names: dict[int, list[str]] = {}
        looked_at = 0
        deadline = time.monotonic() + SECONDS_TO_LOOK
        with os.scandir(self._place) as entries:
            for entry in entries:
                if looked_at >= MOST_ENTRIES or time.monotonic() > deadline:
                    self._more = True
                    break
                if entry.is_dir(follow_symlinks=False):
                    self._rubbish.append((entry.name, os.rmdir))  # one that is not empty stays, and is never read
                    continue
                looked_at += 1
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                of_this_user = names.get(status.st_uid, [])
                if _may_be_handed_in(status) and len(of_this_user) < MOST_OF_ONE_USER:
                    names.setdefault(status.st_uid, of_this_user).append(entry.name)
                else:
                    self._rubbish.append((entry.name, os.unlink))
        return names

    def _clear(self) -> None:
        """Remove the rubbish. This comes last, so that nobody can delay other users by leaving rubbish."""
        deadline = time.monotonic() + SECONDS_TO_CLEAR
        for name, remove in self._rubbish:
            if time.monotonic() > deadline:
                self._more = True
                break
            self._refused += self._removed(name, remove)

    def _take(self, user: int, names: Iterable[str], verifier: Verifier) -> None:
        """Keep one user's valid hand-ins, within the user's limits, and remove the files. An unfinished file stays."""
        deadline = time.monotonic() + SECONDS_FOR_ONE_USER
        found = {name: self._read(name) for name in names}
        verifier.offer(certificate for certificate in found.values() if certificate is not None)
        for name, certificate in found.items():
            if certificate is None and self._is_young(name):
                self._more = True
                continue
            has_time = time.monotonic() < deadline
            is_kept = certificate is not None and has_time and self._is_kept(certificate, user, verifier)
            self._refused += self._removed(name) and not is_kept

    def _is_kept(self, certificate: Certificate, user: int, verifier: Verifier) -> bool:
        """Keep a certificate and those above it, if it is valid; returns whether it is in the store now."""
        if certificate in self._site.find(certificate.subject_key):
            with contextlib.suppress(OSError):  # another process dropped it
                self._site.note_use(certificate)  # it was handed in again to say that it is used
            return True
        try:
            path = verifier.path(certificate)
        except VerifyError:
            return False
        for link in reversed(path[:-1]):  # downwards, so that each kept certificate has its issuer
            if link not in self._site.find(link.subject_key):
                if not self._shares.take(user):
                    return False
                self._site.keep(link)
                self._kept += 1
        return True

    def _read(self, name: str) -> Certificate | None:
        """The certificate in this file of the hand-in folder; None if the file holds none."""
        try:
            file = os.open(name, READ_FLAGS, dir_fd=self._place)
        except OSError:
            return None
        try:
            if not _may_be_handed_in(os.fstat(file)):  # the file may have been replaced
                return None
            text = os.read(file, handin.LARGEST_FILE)
        except OSError:
            return None
        finally:
            os.close(file)
        return next(readable(pem_certificates(text)), None)

    def _is_young(self, name: str) -> bool:
        try:
            age = time.time() - os.stat(name, dir_fd=self._place, follow_symlinks=False).st_ctime
        except OSError:
            return False
        return 0 <= age < SETTLED_AFTER

    def _removed(self, name: str, remove: Callable[..., None] = os.unlink) -> bool:
        """Remove this file or empty folder from the hand-in folder; returns whether that was possible."""
        try:
            remove(name, dir_fd=self._place)
        except OSError:
            return False
        return True


def _may_be_handed_in(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and status.st_size <= handin.LARGEST_FILE
