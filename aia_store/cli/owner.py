"""For root: say which settings are ignored, and run as the owner of the machine's store if that is another user.

This owner is called the service user. What a command makes then belongs to the service user, and no link that the
service user made can mislead root.
"""

from __future__ import annotations

import contextlib
import os

from ..inside import settings as config
from ..inside import store
from .errors import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_ON_THE_STORE = ("add", "bundle", "clear", "daemon", "env", "list", "preload", "refresh", "remove", "share", "show")
_OF_ROOT = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME")


def say_what_is_ignored() -> None:
    """Tell root and the store's owner which settings are ignored because others can change their files."""
    if "_AIA_STORE_COMPLETE" in os.environ or not config.serves_others():
        return
    try:
        config.load()
    except config.ConfigError:
        return  # the command will report it, if it needs them
    for line in config.ignored():
        say(line)


def become_owner(arguments: list[str]) -> None:
    """If this is root and the command uses the machine's store, become its owner until the process ends.

    `check` stays root if it reads or writes a file, because only root may have access to it. Then what `check`
    learns enters the store only after the owner has verified it (`inside/handin.py`).
    """
    if not arguments or not (arguments[0] in _ON_THE_STORE or (arguments[0] == "check" and _names_no_file(arguments))):
        return
    status = _other_owner()
    if status is None:
        return
    os.setgroups([])
    os.setgid(status.st_gid)
    os.setuid(status.st_uid)
    _leave_roots_home()


@contextlib.contextmanager
def as_owner() -> Iterator[None]:
    """For root: be the owner of the machine's store in the `with` block, which must only read and start no process."""
    status = _other_owner()
    if status is None:
        yield
        return
    before = dict(os.environ)
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(status.st_gid)
    os.seteuid(status.st_uid)
    _leave_roots_home()
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)
        os.environ.clear()
        os.environ.update(before)


def _other_owner() -> os.stat_result | None:
    """The status (`os.stat`) of the machine's store if root is to become its owner; None if nothing is to change."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return None
    site = config.site_cache()
    if site is None or store.owner(site) == 0 or config.load().dir not in (None, site):
        return None
    return None if store.Folder(site, shared=True).fault() is not None else os.stat(site)


def _leave_roots_home() -> None:
    for name in _OF_ROOT:
        os.environ.pop(name, None)
    os.environ["HOME"] = config.site_cache() or os.sep


def _names_no_file(arguments: list[str]) -> bool:
    return not any(
        argument.startswith(("--file", "--fullchain", "--html", "--prometheus")) or os.path.exists(argument)
        for argument in arguments[1:]
    )
