"""Intermediates on disk: a hint, never an authority.

There is one PEM file per certificate. The file is named by the SHA-256 of its DER, and its folder by the SHA-256 of the
subject's canonical name. So we find all issuers with a name by listing one small folder, however many folders there
are:

    certificates/3f/3f0c…/9a51….pem      what was needed on this machine
    preloaded/3f/3f0c…/9a51….pem         what was learned ahead of time (`aia-store preload`)

Certificates are looked up in both. The first handshake that needs a preloaded certificate copies it to `certificates`.
So `certificates` has everything needed: the bundle is made from it, and certificates are dropped only there.

Files appear by rename and are never changed. So any number of processes may read and write at once, and a process that
is killed midway leaves at most a file in `tmp`. A file is ignored if it is malformed, misnamed, not regular, or in a
folder that others may write to.

The store folder has a mark, the file `CACHEDIR.TAG`. A folder with other files and no mark is not used. We follow no
link in the store folder, and remove only files whose names are of our own making.
"""

from __future__ import annotations

import errno
import os
import stat
import time

from . import importing, remember, unless_interrupted
from .certificate import Certificate, pem_certificates, readable, sha256
from .settings import serves_others, site_cache, user_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .settings import Settings

LARGEST_FILE = 98_304  # a certificate of 65,536 bytes, as PEM
MOST_OF_ONE_NAME = 64
MOST_NAMES_IN_MEMORY, MOST_OF_ONE_NAME_IN_MEMORY = 128, 8  # where nothing can be written
MOST_FILES = 20_000  # read in a folder; all public CAs together have some ten thousand
USE_IS_NOTED_EVERY = 86_400  # seconds
LARGEST_URL = 2_048

# All names in a store folder. First what programs read and write:
CERTIFICATES, PRELOADED = "certificates", "preloaded"
SOURCES = "sources"  # notes: the URL that each certificate came from
CHANGED = "changed"  # the file's time says when a certificate was last added or removed
REVOKED = "revoked"  # digests of revoked certificates, see `revoked.py`
FAILURES = "failures"  # notes of fetches that failed, see `pauses.py`
LOCKS, TEMPORARY = "locks", "tmp"
HAND_IN = "hand-in"  # in the site's store: hand-ins of users, see `handin.py`
HANDED_IN = "handed-in"  # in a user's store: notes of when certificates were handed in again
MARK = "CACHEDIR.TAG"  # the mark, which backup programs know too (https://bford.info/cachedir/)
# Then what only `manager` reads and writes:
BUNDLE, BUNDLE_STATE = "bundle.pem", "bundle.json"
TRUST, TRUST_STATE = "trust", "trust.json"  # the trust folder: a link into TRUST_FOLDERS, see `manager/trust_folder.py`
TRUST_FOLDERS, ONE_ANCHOR = "trust-folders", "one-anchor.pem"
VERIFIED, EXPORTED = "verified", "exported.json"  # what was before, see the files of these names in `manager`
REVOKED_REASONS = "revoked.json"
KEPT_CRLS, KEPT_LISTS = "crls", "lists"
SHARES = "shares.json"  # how much each user has handed in
REFRESHED, DOUBTED = "refreshed", "doubted"  # the time of the last refresh; since when the clock is in doubt
DAEMON_STATE = "daemon.json"
HISTORY, LAST_REFRESH = "history", "refresh.json"  # what became of certificates; how the last refresh went
SHARE, SHARE_MANIFEST = "share.json", "share.manifest"  # what is shared with other machines, see `manager/share`
_OF_CERTIFICATES = (CERTIFICATES, PRELOADED, SOURCES, CHANGED, REVOKED)
_OF_PROCESSES = (FAILURES, LOCKS, TEMPORARY, HAND_IN, HANDED_IN, MARK)
_OF_BUNDLE = (BUNDLE, BUNDLE_STATE, REVOKED_REASONS, KEPT_CRLS, KEPT_LISTS)
_OF_TRUST_FOLDER = (TRUST, TRUST_STATE, TRUST_FOLDERS, ONE_ANCHOR, VERIFIED, EXPORTED)
_OF_MANAGER = (SHARES, REFRESHED, DOUBTED, DAEMON_STATE, HISTORY, LAST_REFRESH, SHARE, SHARE_MANIFEST)
NAMES = {*_OF_CERTIFICATES, *_OF_PROCESSES, *_OF_BUNDLE, *_OF_TRUST_FOLDER, *_OF_MANAGER}
_MARK_TEXT = b"""Signature: 8a477f597d28d172789f06886806bc55
# This is a store of aia-store. Everything here can be had again.
"""
_MADE_BY_OTHERS = ("lost+found",)  # in the top folder of a file system

READ_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)  # do not wait for the writer of a FIFO
    | getattr(os, "O_BINARY", 0)
)


class Folder:
    """One store folder, the user's or the site's, and its `certificates`. The methods raise only OSError."""

    PART = CERTIFICATES

    def __init__(self, path: str, *, shared: bool = False) -> None:
        self.path = path
        self.shared = shared  # the site's, for all users to read
        self._mode = 0o755 if shared else 0o700

    @property
    def preloaded(self) -> Preloaded:
        """The certificates that were learned ahead of time (`aia-store preload`) and kept in this store folder."""
        return Preloaded(self.path, shared=self.shared)

    def fault(self) -> str | None:
        """Say why nothing in the folder may be used; None if the folder is sound or missing."""
        try:
            status = os.stat(self.path)
        except FileNotFoundError:
            return None
        except unless_interrupted(OSError) as error:
            return f"{self.path} cannot be used ({error.strerror})"
        if not stat.S_ISDIR(status.st_mode):
            return f"{self.path} is not a folder"
        if os.name == "posix" and status.st_uid not in (0, os.geteuid()) and not self._is_placed_by_root():
            return f"{self.path} belongs to another user"
        if os.name == "posix" and status.st_mode & stat.S_IWOTH:
            return f"{self.path} can be written by everyone"
        if may_be_changed_by_group(status):
            return f"{self.path} can be written by its group"
        if not self._is_ours():
            return f"{self.path} holds files that aia-store did not make"
        return None

    def _is_ours(self) -> bool:
        """Whether the folder has our mark, or contains only what we would make."""
        try:
            if read_regular_file(os.path.join(self.path, MARK), len(_MARK_TEXT)) == _MARK_TEXT:
                return True
        except unless_interrupted(OSError):
            pass
        try:
            with os.scandir(self.path) as entries:
                return all(entry.name in NAMES or entry.name in _MADE_BY_OTHERS for entry in entries)
        except unless_interrupted(OSError):
            return False

    def _mark(self) -> None:
        """Mark the folder as ours, if it has no mark. A full disk is no error: the folder then has only our files."""
        if not os.path.lexists(os.path.join(self.path, MARK)):
            try:
                self.write(_MARK_TEXT, MARK)
            except unless_interrupted(OSError):
                pass

    def _is_placed_by_root(self) -> bool:
        """Whether this is the site's folder, and only root can change its parent. If so, root chose its owner."""
        try:
            above = os.stat(os.path.dirname(os.path.realpath(self.path)))
        except unless_interrupted(OSError):
            return False
        return self.shared and above.st_uid == 0 and not above.st_mode & (stat.S_IWGRP | stat.S_IWOTH)

    def may_be_written(self) -> bool:
        """Whether this process may put files here, if the folder exists.

        Root may do so only in its own folder: elsewhere, links that the owner made could lead root astray.
        """
        if hasattr(os, "geteuid") and os.geteuid() == 0 and owner(self.path) != 0:
            return False
        return os.access(self.path, os.W_OK | os.X_OK)

    def within(self, *parts: str) -> str:
        """Return the path of a folder inside this one. Raises OSError if it is missing, or if others could replace it.

        No link is followed. Each folder on the way belongs to the store's owner, this user or root, and only they can
        change it, so the path stays as it was found.
        """
        path = self.path
        trusted = _trusted_users(os.stat(path))
        for part in parts:
            path = os.path.join(path, part)
            _check_inner(path, trusted)
        return path

    def make(self, *parts: str) -> str:
        """Return the path of a folder inside this one, and make it if it is missing. Raises OSError (see `within`)."""
        try:
            return self.within(*parts)
        except FileNotFoundError:
            pass
        os.makedirs(os.path.dirname(os.path.abspath(self.path)), exist_ok=True)
        for depth in range(len(parts) + 1):
            path = os.path.join(self.path, *parts[:depth])
            try:
                os.mkdir(path, self._mode)
                os.chmod(path, self._mode)  # whatever the umask is
            except FileExistsError:
                pass
        return self.within(*parts)

    def write(self, contents: bytes, *parts: str, mode: int | None = None, durable: bool = False) -> str:
        """Write a whole file, by rename; returns its path. If `durable`, the file survives a power failure."""
        path = os.path.join(self.make(*parts[:-1]), parts[-1])
        if parts != (MARK,):
            self._mark()
        name = f"{os.getpid()}-{time.time_ns()}-{id(contents)}"
        temporary = os.path.join(self.make(TEMPORARY), name)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        descriptor = os.open(temporary, flags, 0o600)
        try:
            with open(descriptor, "wb") as file:
                file.write(contents)
                if hasattr(os, "fchmod"):
                    os.fchmod(file.fileno(), self._mode & 0o666 if mode is None else mode)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            try:
                os.replace(temporary, path)
            except FileNotFoundError:  # another process found the folder empty and removed it
                os.replace(temporary, os.path.join(self.make(*parts[:-1]), parts[-1]))
        except BaseException:
            os.unlink(temporary)
            raise
        return path

    def find(self, subject_key: bytes, known: Iterable[Certificate] = ()) -> Iterator[Certificate]:
        """Yield the readable certificates with this canonical subject name, within limits, except the known ones."""
        names = {f"{certificate.fingerprint}.pem" for certificate in known}
        try:
            bucket = self.within(self.PART, *_bucket(subject_key))
        except unless_interrupted(OSError):
            return
        for path in _latest(bucket, MOST_OF_ONE_NAME):
            certificate = None if os.path.basename(path) in names else read_certificate(path)
            if certificate is not None and certificate.subject_key == subject_key:
                yield certificate

    def paths(self) -> Iterator[str]:
        """Yield the sorted paths of all files in the folders of certificates, even foreign ones, up to MOST_FILES."""
        left = MOST_FILES
        try:
            certificates = self.within(self.PART)
            trusted = _trusted_users(os.stat(self.path))
        except unless_interrupted(OSError):
            return
        for top in _folders(certificates, trusted):
            for bucket in _folders(top, trusted):
                if not is_digest(os.path.basename(bucket)):
                    continue
                paths = _listing(bucket, left)
                yield from paths
                left -= max(1, len(paths))
                if left <= 0:
                    return

    def is_crowded(self) -> bool:
        """Whether there are so many files that some may not be read."""
        return sum(1 for _ in self.paths()) >= MOST_FILES

    def keep(self, certificate: Certificate, source: str | None = None) -> str:
        """Put a verified certificate on disk, and note the caIssuers URL that it came from. Returns its path."""
        parts = self.PART, *_bucket(certificate.subject_key), f"{certificate.fingerprint}.pem"
        path = self.write(certificate.pem.encode("ascii"), *parts)
        if source is not None and _may_be_noted(source):
            self.write(f"{source}\n".encode("ascii"), SOURCES, certificate.fingerprint)
        self.note_change()
        return path

    def source_of(self, certificate: Certificate) -> str | None:
        """The URL that a certificate came from; None if no URL is noted. The URL may be hostile."""
        try:
            text = read_regular_file(os.path.join(self.within(SOURCES), certificate.fingerprint), LARGEST_URL)
            return text.decode("ascii").removesuffix("\n")
        except unless_interrupted(OSError, UnicodeDecodeError):
            return None

    def remove(self, path: str) -> None:
        """Remove a file that `paths` or `keep` named, and its folder if that is now empty.

        Raises PermissionError for a name that is not of our making.
        """
        folder, name = os.path.split(os.path.relpath(path, os.path.join(self.path, self.PART)))
        parts = folder.split(os.sep)
        fingerprint = name.removesuffix(".pem")
        if not (len(parts) == 2 and parts[1].startswith(parts[0]) and is_digest(parts[1]) and is_digest(fingerprint)):
            raise PermissionError(errno.EPERM, "not of the store's making", path)
        bucket = self.within(self.PART, *parts)
        os.unlink(os.path.join(bucket, name))
        try:
            self._forget(fingerprint)
        except unless_interrupted(OSError):
            pass  # the disk is full, or there is no note: the certificate is gone anyway
        try:
            for folder in (bucket, os.path.dirname(bucket), os.path.join(self.path, self.PART)):
                os.rmdir(folder)
        except unless_interrupted(OSError):
            pass  # it is not empty

    def _forget(self, fingerprint: str) -> None:
        self.note_change()
        os.unlink(os.path.join(self.within(SOURCES), fingerprint))

    def note_change(self) -> None:
        """Note that a certificate was added or removed: files made from this folder, such as the bundle, are stale."""
        now = time.time_ns()  # the file system's own time is too coarse to tell two changes apart
        try:
            os.utime(os.path.join(self.path, CHANGED), ns=(now, now))
        except unless_interrupted(OSError):
            self.write(b"", CHANGED)

    def changed(self) -> int:
        """When a certificate was last added or removed here (nanoseconds since 1970); 0 for never."""
        try:
            return os.stat(os.path.join(self.path, CHANGED)).st_mtime_ns
        except unless_interrupted(OSError):
            return 0

    def note_use(self, certificate: Certificate) -> None:
        """Set the time of the certificate's file to now, at most once a day. So unused certificates can be recognized.

        Raises FileNotFoundError if the file is missing, PermissionError if a day has passed but we may not set it.
        """
        path = self.path_of(certificate)
        if time.time() - os.stat(path).st_mtime > USE_IS_NOTED_EVERY:
            os.utime(path)

    def path_of(self, certificate: Certificate) -> str:
        """The path that this certificate has, or would have if it were kept."""
        bucket = _bucket(certificate.subject_key)
        return os.path.join(self.path, self.PART, *bucket, f"{certificate.fingerprint}.pem")


class Preloaded(Folder):
    """The certificates in a store folder that were learned ahead of time. Where they came from is not noted."""

    PART = PRELOADED

    def _forget(self, fingerprint: str) -> None:
        self.note_change()


def _bucket(subject_key: bytes) -> tuple[str, str]:
    """The names of the two nested folders for certificates with this canonical subject name."""
    name = sha256(subject_key)
    return name[:2], name


def is_digest(name: str) -> bool:
    """Whether a name is a SHA-256 in hexadecimal digits, like most names in a store."""
    return len(name) == 64 and not name.strip("0123456789abcdef")


def _trusted_users(folder: os.stat_result) -> set[int]:
    """The users who may have made what is in a store folder: its owner, this user and root."""
    return {folder.st_uid, 0, os.geteuid()} if os.name == "posix" else set()


def _check_inner(path: str, trusted: set[int]) -> None:
    """Raise OSError unless this is a folder that belongs to one of these users, and only they can change it.

    On Windows, it need only be a folder: the mode is always 0o777, and folders inherit their rights from the one above.
    """
    status = os.lstat(path)
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, f"{path} is not a folder", path)
    if os.name != "posix":
        return
    if status.st_uid not in trusted or status.st_mode & stat.S_IWOTH or may_be_changed_by_group(status):
        raise PermissionError(errno.EPERM, f"others can change {path}", path)


def may_be_changed_by_group(status: os.stat_result) -> bool:
    """Whether a folder's group may write to it. The owner's primary group without other members does not count."""
    if os.name != "posix" or not status.st_mode & stat.S_IWGRP:
        return False
    with importing:
        import grp
        import pwd

    try:
        owner = pwd.getpwuid(status.st_uid).pw_name
        members = set(grp.getgrgid(status.st_gid).gr_mem)
    except KeyError:
        return True
    members.update(user.pw_name for user in pwd.getpwall() if user.pw_gid == status.st_gid)
    return members != {owner} or pwd.getpwnam(owner).pw_gid != status.st_gid


def _may_be_noted(source: str) -> bool:
    """Whether a URL is one line of ASCII, without credentials, query or fragment."""
    return len(source) < LARGEST_URL and source.isascii() and source.isprintable() and not set(" ?#@") & set(source)


def read_certificate(path: str) -> Certificate | None:
    """Read a file of the store; None if it does not hold the certificate whose SHA-256 is the file's name."""
    name, extension = os.path.splitext(os.path.basename(path))
    if extension != ".pem":
        return None
    try:
        text = read_regular_file(path, LARGEST_FILE)
    except unless_interrupted(OSError):
        return None
    certificate = next(readable(pem_certificates(text)), None)
    return certificate if certificate is not None and certificate.fingerprint == name else None


def read_regular_file(path: str, most: int) -> bytes:
    """Read a regular file of at most `most` bytes, without following a link. Raises OSError."""
    descriptor = os.open(path, READ_FLAGS)
    try:
        return read_open_file(descriptor, path, most)
    finally:
        os.close(descriptor)


def read_open_file(descriptor: int, path: str, most: int) -> bytes:
    """Read a regular file of at most `most` bytes that was opened with READ_FLAGS. Raises OSError."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_size > most:
        raise OSError(f"{path} is not a regular file of at most {most} bytes")
    return os.read(descriptor, most + 1)


def _folders(path: str, trusted: set[int]) -> Iterator[str]:
    """The sorted paths of the subfolders that belong to one of these users, and that only such users can change."""
    for inner in _listing(path):
        try:
            _check_inner(inner, trusted)
        except unless_interrupted(OSError):
            continue
        yield inner


def _listing(path: str, most: int = MOST_FILES) -> list[str]:
    """The paths in a folder, sorted; if it has more than `most`, any `most` of them."""
    try:
        with os.scandir(path) as entries:
            return sorted(entry.path for entry, _ in zip(entries, range(most)))  # stops at the shorter one
    except unless_interrupted(OSError):
        return []


def _latest(path: str, most: int) -> list[str]:
    """The paths in a folder, sorted; if it has more than `most`, those that were kept or used last.

    A CA can issue any number of intermediates with the same name. Those that came later can push out the one that this
    machine uses, until it is used again. At most 20 times `most` files are looked at: each takes a microsecond or two.
    """
    paths = _listing(path, 20 * most)
    if len(paths) > most:
        paths = sorted(sorted(paths, key=_time, reverse=True)[:most])
    return paths


def _time(path: str) -> float:
    try:
        return os.lstat(path).st_mtime
    except unless_interrupted(OSError):
        return 0.0  # it was removed meanwhile


def crowded_note(folder: Folder) -> str:
    """The message that a folder has more files than are read."""
    return f"{folder.path} holds more than {MOST_FILES:,} files; the others are ignored"


class IntermediateStore:
    """This user's store folders. All are read. The first that is writable is written; if none is, memory is used."""

    def __init__(self, folders: list[Folder]) -> None:
        self.folders = [folder for folder in folders if folder.fault() is None]
        self.preloaded = [folder.preloaded for folder in self.folders]
        self._memory: dict[bytes, list[Certificate]] = {}
        self.failures: dict[str, tuple[int, float]] = {}  # what `pauses.Failures` could not write

    @property
    def home(self) -> Folder | None:
        """The folder to write to, which is made if it is missing; None if no folder can be written."""
        for folder in self.folders:
            try:
                folder.make()
            except unless_interrupted(OSError):
                continue
            if folder.may_be_written():
                return folder
        return None

    def find(self, subject_key: bytes) -> list[Certificate]:
        """The intermediates with this canonical subject name, each once."""
        return self._found(subject_key, [*self.folders, *self.preloaded])

    def needed(self, subject_key: bytes) -> list[Certificate]:
        """The intermediates with this canonical subject name that were needed on this machine, each once."""
        return self._found(subject_key, self.folders)

    def _found(self, subject_key: bytes, folders: Iterable[Folder]) -> list[Certificate]:
        found = dict.fromkeys(self._memory.get(subject_key, ()))
        for folder in folders:
            found.update(dict.fromkeys(folder.find(subject_key, list(found))))
        return list(found)

    def keep(self, certificate: Certificate, source: str | None = None) -> bool:
        """Keep an intermediate that was verified to lead to an anchor, and the URL that it came from.

        Returns whether it is on disk now. Only DER is kept: a certificate has any number of BER encodings, with which a
        server could fill the store.
        """
        if not certificate.is_in_der:
            return False
        if any(certificate in folder.find(certificate.subject_key) for folder in self.folders):
            return True
        home, is_written = self.home, False
        if home is not None:
            try:
                home.keep(certificate, source)
                is_written = True
            except unless_interrupted(OSError):
                pass
        if not is_written:
            kept = self._memory.get(certificate.subject_key, [])
            if certificate in kept:
                return False
            latest = [*kept, certificate][-MOST_OF_ONE_NAME_IN_MEMORY:]
            remember(self._memory, certificate.subject_key, latest, MOST_NAMES_IN_MEMORY)
        site = next((folder for folder in self.folders if folder.shared), None)
        if site is not None and site is not home:
            _hand_in(certificate, site)
        return is_written

    def may_know_revoked(self) -> bool:
        """Whether a folder has a file of revoked certificates. If none has, we do not load the code that reads it."""
        return any(os.path.exists(os.path.join(folder.path, REVOKED)) for folder in self.folders)

    def entries(self, fingerprint: str = "", *, preloaded: bool = False) -> Iterator[tuple[str, Certificate]]:
        """Yield the path and the certificate of each sound file whose fingerprint starts with this text.

        Each certificate occurs once. They are those that were needed; with `preloaded`, those that were preloaded.
        """
        seen: set[Certificate] = set()
        for folder in self.preloaded if preloaded else self.folders:
            for path in folder.paths():
                if not os.path.basename(path).startswith(fingerprint):
                    continue
                certificate = read_certificate(path)
                if certificate is not None and certificate not in seen and path == folder.path_of(certificate):
                    seen.add(certificate)
                    yield path, certificate

    def certificates(self) -> list[Certificate]:
        """All intermediates on disk that were needed on this machine, each once."""
        return [certificate for _, certificate in self.entries()]

    def note_use(self, certificate: Certificate) -> None:
        """Note that a handshake needed this certificate. If it was only preloaded, it is now kept as needed."""
        is_kept = certificate in self._memory.get(certificate.subject_key, ())
        for folder in self.folders:
            try:
                folder.note_use(certificate)
            except PermissionError:
                if folder.shared:
                    self._hand_in_again(certificate, folder)
            except FileNotFoundError:
                continue
            except unless_interrupted(OSError):
                pass
            is_kept = True
        if not is_kept:
            self.keep(certificate)

    def _hand_in_again(self, certificate: Certificate, site: Folder) -> None:
        """Leave a copy of a certificate for the site's store, which has it, so that its use is noted there.

        A note in the user's own store makes sure that this happens at most daily. Without such a store, do nothing.
        """
        home = self.home
        if home is None or home is site or not os.path.isdir(os.path.join(site.path, HAND_IN)):
            return
        try:
            note = os.path.join(home.path, HANDED_IN, certificate.fingerprint)
            if os.path.exists(note) and 0 <= time.time() - os.stat(note).st_mtime < USE_IS_NOTED_EVERY:
                return
            home.write(b"", HANDED_IN, certificate.fingerprint)
        except unless_interrupted(OSError):
            return
        _hand_in(certificate, site)


def _hand_in(certificate: Certificate, site: Folder) -> None:
    """If the site's store has a hand-in folder, where all users may leave certificates for it, leave a copy there."""
    folder = os.path.join(site.path, HAND_IN)
    if os.path.isdir(folder):
        with importing:
            from .handin import leave

        leave(certificate, folder)


def folders_of(settings: Settings) -> list[Folder]:
    """The store folders according to the settings. The first is the one to write.

    If the settings name a folder, it is the only one. Otherwise the owner of the site's folder has only this one, and
    all others have their own folder and the site's. Root does not use its own folder if others can change it: `sudo -E`
    keeps another user's HOME, where links may lead anywhere.
    """
    site = site_cache()
    if settings.dir is not None:
        return [Folder(settings.dir, shared=settings.dir == site)]
    shared = [Folder(site, shared=True)] if site else []
    if site and hasattr(os, "geteuid") and os.geteuid() == owner(site):
        return shared
    user = user_cache()
    if user and serves_others():
        with importing:
            from .ownership import changed_by_others

        user = user if changed_by_others(user) is None else None
    return ([Folder(user)] if user else []) + shared


def hand_in_folder(settings: Settings) -> str | None:
    """The folder (which may not exist) where users leave copies for the site's store; None if another store is set."""
    site = site_cache()
    return os.path.join(site, HAND_IN) if site is not None and settings.dir in (None, site) else None


def owner(path: str) -> int:
    """The user id of a folder's owner; 0 if there is no such folder."""
    try:
        return os.stat(path).st_uid
    except unless_interrupted(OSError):
        return 0


class StoreError(Exception):
    """The store cannot be used. The message is one line that says why and what to do."""


def sound_store(settings: Settings, *, to_write: bool = False) -> IntermediateStore:
    """Open the settings' store. Raises StoreError if a folder is unusable or, with `to_write`, if none is writable."""
    tried = folders_of(settings)
    faults = [fault for fault in (folder.fault() for folder in tried) if fault is not None]
    store = IntermediateStore(tried)
    if to_write and not faults and store.home is None:
        faults = [f"{folder.path} cannot be written" for folder in tried]
    if faults:
        raise StoreError(f"{'; '.join(faults)}; repair it, or set AIA_STORE_DIR to a folder of yours")
    return store


def open_store(settings: Settings) -> IntermediateStore:
    """Open the store that the settings name. Folders that cannot be used are left out."""
    return IntermediateStore(folders_of(settings))


_stores: dict[str | None, IntermediateStore] = {}  # of this process, by the folder that was set


def store_of_process(settings: Settings) -> IntermediateStore:
    """Like `open_store`, but each call in a process returns the same store, so what it keeps in memory is not lost."""
    found = _stores.get(settings.dir)
    return found if found is not None else _stores.setdefault(settings.dir, open_store(settings))
