"""Intermediates on disk: a hint, never an authority.

One file a certificate, in PEM, named by the SHA-256 of its DER, in a folder named by the SHA-256 of its subject's
canonical name; so finding the issuers of a name is one listing of one small folder, however many others there are:

    certificates/3f/3f0c…/9a51….pem      what was needed on this machine
    preloaded/3f/3f0c…/9a51….pem         what is known beforehand, in the same way (`aia-store preload`)

What was preloaded is found as what was needed is, and the first handshake that needs it has it kept among that, so
that what was needed is whole without it: of that alone the CA file is made, and only that is dropped when unused.

Files appear by rename and are never changed, so any number of processes may read and write at once, and one killed
midway leaves at most a file in `tmp`. Nothing read here is believed: what is malformed, misnamed, no regular file or
in a folder that others may write to is passed over.

The folder is marked as ours, and one that holds other things and no mark is not used. No link in it is followed, and
only names of our own making are ever removed.
"""

from __future__ import annotations

import errno
import os
import stat
import time

from . import importing
from .certificate import Certificate, pem_certificates, readable, sha256
from .settings import site_cache, user_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .settings import Settings

LARGEST_FILE = 98_304  # a certificate of 65,536 bytes, as PEM
MOST_OF_ONE_NAME = 64
MOST_FILES = 20_000  # of a folder that are looked at; all CAs of the world together have some ten thousand
USE_IS_NOTED_EVERY = 86_400  # seconds
LARGEST_URL = 2_048

# All names in a store folder. First what programs read and write:
CERTIFICATES, PRELOADED = "certificates", "preloaded"
SOURCES = "sources"  # notes: the URL that each certificate came from
CHANGED = "changed"  # its time is when a certificate was last added or removed
REVOKED = "revoked"  # the digests of what is revoked, see `revoked.py`
FAILURES = "failures"  # notes of fetches that failed, see `pauses.py`
LOCKS, TEMPORARY = "locks", "tmp"
HAND_IN = "hand-in"  # in the site's store: what users learned, see `handin.py`
HANDED_IN = "handed-in"  # in a user's: notes of what was handed in again
MARK = "CACHEDIR.TAG"  # says whose folder this is, also to backup programs (https://bford.info/cachedir/)
# Then what the manager alone reads and writes:
BUNDLE, BUNDLE_STATE = "bundle.pem", "bundle.json"
TRUST, TRUST_STATE = "trust", "trust.json"  # the trust folder: a link into TRUST_FOLDERS, see `manager/trust_folder.py`
TRUST_FOLDERS, ONE_ANCHOR = "trust-folders", "one-anchor.pem"
VERIFIED, EXPORTED = "verified", "exported.json"  # what was before, see the files of these names in `manager`
REVOKED_REASONS = "revoked.json"
KEPT_CRLS, KEPT_LISTS = "crls", "lists"
SHARES = "shares.json"  # how much each user handed in
REFRESHED, DOUBTED = "refreshed", "doubted"  # the clock at the last refresh, and since when it is doubted
DAEMON_STATE = "daemon.json"
HISTORY, LAST_REFRESH = "history", "refresh.json"  # what became of each certificate, and how the last refresh went
_OF_PROGRAMS = (
    CERTIFICATES,
    PRELOADED,
    SOURCES,
    CHANGED,
    REVOKED,
    FAILURES,
    LOCKS,
    TEMPORARY,
    HAND_IN,
    HANDED_IN,
    MARK,
)
_OF_BUNDLE = (BUNDLE, BUNDLE_STATE, REVOKED_REASONS, KEPT_CRLS, KEPT_LISTS)
_OF_TRUST_FOLDER = (TRUST, TRUST_STATE, TRUST_FOLDERS, ONE_ANCHOR, VERIFIED, EXPORTED)
NAMES = {*_OF_PROGRAMS, *_OF_BUNDLE, *_OF_TRUST_FOLDER, SHARES, REFRESHED, DOUBTED, DAEMON_STATE, HISTORY, LAST_REFRESH}
_MARK_TEXT = b"""Signature: 8a477f597d28d172789f06886806bc55
# This is a store of aia-store. Everything here can be had again.
"""
_MADE_BY_OTHERS = ("lost+found",)  # in a file system's top folder

READ_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)  # a FIFO must not hold us up
    | getattr(os, "O_BINARY", 0)
)


class Folder:
    """One store folder, the user's or the site's, and what was needed. Its methods raise nothing but OSError."""

    PART = CERTIFICATES

    def __init__(self, path: str, *, shared: bool = False) -> None:
        self.path = path
        self.shared = shared  # the site's, for all users to read
        self._mode = 0o755 if shared else 0o700

    @property
    def preloaded(self) -> Preloaded:
        """What was preloaded into this folder."""
        return Preloaded(self.path, shared=self.shared)

    def fault(self) -> str | None:
        """Why nothing here is used: what is wrong with the folder, in words; None where it is sound or absent."""
        try:
            status = os.stat(self.path)
        except FileNotFoundError:
            return None
        except OSError as error:
            return f"{self.path} cannot be used ({error.strerror})"
        if not stat.S_ISDIR(status.st_mode):
            return f"{self.path} is no folder"
        if os.name == "posix" and status.st_uid not in (0, os.geteuid()) and not self._is_placed_by_root():
            return f"{self.path} belongs to another user"
        if os.name == "posix" and status.st_mode & stat.S_IWOTH:
            return f"{self.path} can be written by everyone"
        if _may_be_changed_by_group(status):
            return f"{self.path} can be written by its group"
        if not self._is_ours():
            return f"{self.path} holds files that aia-store did not make"
        return None

    def _is_ours(self) -> bool:
        """Whether the folder has our mark, or nothing in it that we would not make."""
        try:
            if read_regular_file(os.path.join(self.path, MARK), len(_MARK_TEXT)) == _MARK_TEXT:
                return True
        except OSError:
            pass
        try:
            with os.scandir(self.path) as entries:
                return all(entry.name in NAMES or entry.name in _MADE_BY_OTHERS for entry in entries)
        except OSError:
            return False

    def _mark(self) -> None:
        """Mark the folder as ours, if it is not. A full disk is no obstacle: it holds nothing that is not ours."""
        if not os.path.lexists(os.path.join(self.path, MARK)):
            try:
                self.write(_MARK_TEXT, MARK)
            except OSError:
                pass

    def _is_placed_by_root(self) -> bool:
        """Whether this is the site's folder, and nobody but root could give it to the user whose it is."""
        try:
            above = os.stat(os.path.dirname(os.path.realpath(self.path)))
        except OSError:
            return False
        return self.shared and above.st_uid == 0 and not above.st_mode & (stat.S_IWGRP | stat.S_IWOTH)

    def may_be_written(self) -> bool:
        """Whether this process may put files here, the folder being there.

        Root only where the folder is root's: elsewhere, links that its owner made could lead root astray.
        """
        if hasattr(os, "geteuid") and os.geteuid() == 0 and owner(self.path) != 0:
            return False
        return os.access(self.path, os.W_OK | os.X_OK)

    def within(self, *parts: str) -> str:
        """The path of a folder inside. Raises OSError where it is missing, or where others could lead us elsewhere.

        No link is followed, and what is on the way belongs to the store's owner, this user or root, and is theirs
        alone to change: so it stays as it was found.
        """
        path = self.path
        trusted = _trusted_users(os.stat(path))
        for part in parts:
            path = os.path.join(path, part)
            _check_inner(path, trusted)
        return path

    def make(self, *parts: str) -> str:
        """The path of a folder inside, made if it is missing. Raises OSError, also where `within` does."""
        try:
            return self.within(*parts)
        except FileNotFoundError:
            pass
        os.makedirs(os.path.dirname(os.path.abspath(self.path)), exist_ok=True)
        path = self.path
        for part in ("", *parts):
            path = os.path.join(path, part) if part else path
            try:
                os.mkdir(path, self._mode)
                os.chmod(path, self._mode)  # whatever the umask is
            except FileExistsError:
                pass
        return self.within(*parts)

    def write(self, contents: bytes, *parts: str, mode: int | None = None, durable: bool = False) -> str:
        """Put a file in place as a whole; returns its path. `durable`: it survives a power failure."""
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
        """Every readable certificate with this canonical subject name, up to a bound; those known are not read."""
        names = {f"{certificate.fingerprint}.pem" for certificate in known}
        try:
            bucket = self.within(self.PART, *_bucket(subject_key))
        except OSError:
            return
        for path in _listing(bucket, MOST_OF_ONE_NAME):
            certificate = None if os.path.basename(path) in names else read_certificate(path)
            if certificate is not None and certificate.subject_key == subject_key:
                yield certificate

    def paths(self) -> Iterator[str]:
        """The path of everything in folders of our names for certificates, foreign things included; sorted, bounded."""
        left = MOST_FILES
        try:
            certificates = self.within(self.PART)
            trusted = _trusted_users(os.stat(self.path))
        except OSError:
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
        """Whether there are more files than are looked at."""
        return sum(1 for _ in self.paths()) >= MOST_FILES

    def keep(self, certificate: Certificate, source: str | None = None) -> str:
        """Put a certificate on disk; returns its path. Whoever calls this has proved it to lead to an anchor.

        `source` is the caIssuers URL that it came from, which is noted: there it can be renewed.
        """
        parts = self.PART, *_bucket(certificate.subject_key), f"{certificate.fingerprint}.pem"
        path = self.write(certificate.pem.encode("ascii"), *parts)
        if source is not None and _may_be_noted(source):
            self.write(f"{source}\n".encode("ascii"), SOURCES, certificate.fingerprint)
        self.note_change()
        return path

    def source_of(self, certificate: Certificate) -> str | None:
        """The URL that a certificate came from, hostile until checked; None where none is noted."""
        try:
            text = read_regular_file(os.path.join(self.within(SOURCES), certificate.fingerprint), LARGEST_URL)
            return text.decode("ascii").removesuffix("\n")
        except (OSError, UnicodeDecodeError):
            return None

    def remove(self, path: str) -> None:
        """Remove what `paths` or `keep` named, and its folder if that is empty now. Raises PermissionError for a name
        that is none of ours.
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
        except OSError:
            pass  # a full disk, or no note: what is gone is gone
        try:
            for folder in (bucket, os.path.dirname(bucket), os.path.join(self.path, self.PART)):
                os.rmdir(folder)
        except OSError:
            pass  # something is left in it

    def _forget(self, fingerprint: str) -> None:
        self.note_change()
        os.unlink(os.path.join(self.within(SOURCES), fingerprint))

    def note_change(self) -> None:
        """Say that a certificate was added or removed: what was made of this folder is stale."""
        now = time.time_ns()  # not the file system's own time, whose ticks are too long to tell two changes apart
        try:
            os.utime(os.path.join(self.path, CHANGED), ns=(now, now))
        except OSError:
            self.write(b"", CHANGED)

    def changed(self) -> int:
        """When a certificate was last added or removed here (nanoseconds since 1970), 0 for never."""
        try:
            return os.stat(os.path.join(self.path, CHANGED)).st_mtime_ns
        except OSError:
            return 0

    def note_use(self, certificate: Certificate) -> None:
        """Set the file's time to now, at most once a day: what nobody uses can be told apart.

        Raises PermissionError where that is due and only its owner may do it, FileNotFoundError where it is not here.
        """
        path = self.path_of(certificate)
        if time.time() - os.stat(path).st_mtime > USE_IS_NOTED_EVERY:
            os.utime(path)

    def path_of(self, certificate: Certificate) -> str:
        """Where a certificate lies, or would."""
        bucket = _bucket(certificate.subject_key)
        return os.path.join(self.path, self.PART, *bucket, f"{certificate.fingerprint}.pem")


class Preloaded(Folder):
    """What was preloaded into a store folder; no URL that it came from is noted."""

    PART = PRELOADED

    def _forget(self, fingerprint: str) -> None:
        self.note_change()


def _bucket(subject_key: bytes) -> tuple[str, str]:
    """The names of the folders, one in the other, that hold the certificates with this canonical subject name."""
    name = sha256(subject_key)
    return name[:2], name


def is_digest(name: str) -> bool:
    """Whether a name is a SHA-256 in hexadecimal digits, as most names in a store are."""
    return len(name) == 64 and not name.strip("0123456789abcdef")


def _trusted_users(folder: os.stat_result) -> set[int]:
    """Who may have made what is in a store folder: its owner, this user and root."""
    return {folder.st_uid, 0, os.geteuid()} if os.name == "posix" else {folder.st_uid}


def _check_inner(path: str, trusted: set[int]) -> None:
    """Raises OSError where this is no folder of these users', which they alone can change."""
    status = os.lstat(path)
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, f"{path} is no folder", path)
    if status.st_uid not in trusted or status.st_mode & stat.S_IWOTH or _may_be_changed_by_group(status):
        raise PermissionError(errno.EPERM, f"others can change {path}", path)


def _may_be_changed_by_group(status: os.stat_result) -> bool:
    """Whether a folder's group may write to it, and is not its owner's private one: primary, and with nobody else."""
    if os.name != "posix" or not status.st_mode & stat.S_IWGRP:
        return False
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
    """Whether a URL is one line of text, and says where an issuer is and nothing more."""
    return len(source) < LARGEST_URL and source.isascii() and source.isprintable() and not set(" ?#@") & set(source)


def read_certificate(path: str) -> Certificate | None:
    """The certificate in a file of the store, or None if it is not exactly what its name says."""
    name, extension = os.path.splitext(os.path.basename(path))
    if extension != ".pem":
        return None
    try:
        text = read_regular_file(path, LARGEST_FILE)
    except OSError:
        return None
    certificate = next(readable(pem_certificates(text)), None)
    return certificate if certificate is not None and certificate.fingerprint == name else None


def read_regular_file(path: str, most: int) -> bytes:
    """The contents of a regular file of at most so many bytes, no link followed. Raises OSError."""
    descriptor = os.open(path, READ_FLAGS)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > most:
            raise OSError(f"{path} is no regular file of at most {most} bytes")
        return os.read(descriptor, most + 1)
    finally:
        os.close(descriptor)


def _folders(path: str, trusted: set[int]) -> Iterator[str]:
    """The paths of the folders in a folder that belong to these users and that they alone can change, sorted."""
    for inner in _listing(path):
        try:
            _check_inner(inner, trusted)
        except OSError:
            continue
        yield inner


def _listing(path: str, most: int = MOST_FILES) -> list[str]:
    """The paths of what is in a folder, sorted; of a folder that holds more than so many, any so many."""
    try:
        with os.scandir(path) as entries:
            return sorted(entry.path for entry, _ in zip(entries, range(most)))  # one is longer
    except OSError:
        return []


def crowded_note(folder: Folder) -> str:
    """What there is to say of a crowded folder."""
    return f"{folder.path} holds more than {MOST_FILES:,} files, and no more are looked at"


class Store:
    """The folders of this user: all are read, the first is written; where it cannot be, memory serves."""

    def __init__(self, folders: list[Folder]) -> None:
        self.folders = [folder for folder in folders if folder.fault() is None]
        self.preloaded = [folder.preloaded for folder in self.folders]
        self._memory: dict[bytes, list[Certificate]] = {}
        self.failures: dict[str, tuple[int, float]] = {}  # what `pauses.Failures` could not write

    @property
    def home(self) -> Folder | None:
        """The folder that is written, made if it is missing; None where none can be."""
        for folder in self.folders:
            try:
                folder.make()
            except OSError:
                continue
            if folder.may_be_written():
                return folder
        return None

    def find(self, subject_key: bytes) -> list[Certificate]:
        """The intermediates with this canonical subject name, each once."""
        return self._found(subject_key, [*self.folders, *self.preloaded])

    def needed(self, subject_key: bytes) -> list[Certificate]:
        """Those of them that were needed on this machine."""
        return self._found(subject_key, self.folders)

    def _found(self, subject_key: bytes, folders: Iterable[Folder]) -> list[Certificate]:
        found = dict.fromkeys(self._memory.get(subject_key, ()))
        for folder in folders:
            found.update(dict.fromkeys(folder.find(subject_key, list(found))))
        return list(found)

    def keep(self, certificate: Certificate, source: str | None = None) -> bool:
        """Keep an intermediate that was proved to lead to an anchor, and the URL that it came from.

        Returns whether it is on disk now.
        """
        if any(certificate in folder.find(certificate.subject_key) for folder in self.folders):
            return True
        home = self.home
        is_written = self._is_written(certificate, source, home)
        if not is_written:
            kept = self._memory.setdefault(certificate.subject_key, [])
            if certificate in kept:
                return False
            kept.append(certificate)
        site = next((folder for folder in self.folders if folder.shared), None)
        if site is not None and site is not home and _takes_copies(site):
            with importing:
                from . import handin

            handin.leave(certificate, site)
        return is_written

    def _is_written(self, certificate: Certificate, source: str | None, home: Folder | None) -> bool:
        try:
            if home is not None:
                home.keep(certificate, source)
            return home is not None
        except OSError:
            return False

    def may_know_revoked(self) -> bool:
        """Whether a folder has a file of revoked certificates: where none has, nobody need read one."""
        return any(os.path.exists(os.path.join(folder.path, REVOKED)) for folder in self.folders)

    def entries(self, fingerprint: str = "", *, preloaded: bool = False) -> Iterator[tuple[str, Certificate]]:
        """The path and the certificate of every sound file, each certificate once; its fingerprint starts so.

        Of what was needed, or of what was `preloaded`.
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
        """Every intermediate that was needed, once."""
        return [certificate for _, certificate in self.entries()]

    def note_use(self, certificate: Certificate) -> None:
        """Say that a handshake needed this certificate; what was only preloaded is kept from now on."""
        is_kept = certificate in self._memory.get(certificate.subject_key, ())
        sites = []
        for folder in self.folders:
            try:
                folder.note_use(certificate)
            except PermissionError:
                sites += [folder] if folder.shared and _takes_copies(folder) else []
            except FileNotFoundError:
                continue
            except OSError:
                pass
            is_kept = True
        for site in sites:
            with importing:
                from . import handin

            handin.leave_again(certificate, site, self.home)
        if not is_kept:
            self.keep(certificate)


def _takes_copies(site: Folder) -> bool:
    """Whether the site's store has a hand-in folder: where it has none, nobody need know how to use one."""
    return os.path.isdir(os.path.join(site.path, HAND_IN))


def folders_of(settings: Settings) -> list[Folder]:
    """The folders that the settings mean, the one to write first.

    The one that was set, alone; else the user's and then the site's, or for whose the site's is that alone: root, or
    a service user that root gave it to. Then root is a user like others.
    """
    site = site_cache()
    if settings.dir is not None:
        return [Folder(settings.dir, shared=settings.dir == site)]
    shared = [Folder(site, shared=True)] if site else []
    if site and hasattr(os, "geteuid") and os.geteuid() == owner(site):
        return shared
    user = user_cache()
    return ([Folder(user)] if user else []) + shared


def owner(path: str) -> int:
    """Whose a folder is; one that is not there would be root's."""
    try:
        return os.stat(path).st_uid
    except OSError:
        return 0


class StoreError(Exception):
    """The store cannot be used at all; the message is one line that says why and what to do."""


def sound_store(settings: Settings, *, to_write: bool = False) -> Store:
    """The store that the settings mean. Raises StoreError where a folder of it cannot be used, or none be written."""
    tried = folders_of(settings)
    faults = [fault for fault in (folder.fault() for folder in tried) if fault is not None]
    store = Store(tried)
    if to_write and not faults and store.home is None:
        faults = [f"{folder.path} cannot be written" for folder in tried]
    if faults:
        raise StoreError(f"{'; '.join(faults)}; mend it, or set AIA_STORE_DIR to a folder of yours")
    return store


def open_store(settings: Settings) -> Store:
    """The store that the settings mean."""
    return Store(folders_of(settings))


_stores: dict[str | None, Store] = {}  # of this process, by the folder that was set


def store_of_process(settings: Settings) -> Store:
    """The same, one for all of this process: where nothing can be written, its memory is all there is."""
    found = _stores.get(settings.dir)
    return found if found is not None else _stores.setdefault(settings.dir, open_store(settings))
