"""Root's command line: it believes no file of others, and works as a service user where the site's store is his.

What it makes then belongs to the service, and no link that the service user made can lead root astray.
"""

from __future__ import annotations

import os

from ..inside import settings as config
from ..inside import store
from .errors import say

_ON_THE_STORE = ("bundle", "clear", "daemon", "env", "preload", "refresh", "remove")


def say_what_is_ignored() -> None:
    """Tell root which settings do not count, because others can change the files that they are in."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or "_AIA_STORE_COMPLETE" in os.environ:
        return
    try:
        config.load()
    except config.ConfigError:
        return  # the command says so, if it needs them
    for line in config.ignored():
        say(line)


def become_owner(arguments: list[str]) -> None:
    """Become the owner of the site's store, for good, if the command is one that writes there and this is root."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or not arguments or arguments[0] not in _ON_THE_STORE:
        return
    site = config.site_cache()
    if site is None or store.owner(site) == 0 or config.load().dir not in (None, site):
        return
    if store.Folder(site, shared=True).fault() is not None:
        return
    status = os.stat(site)
    os.setgroups([])
    os.setgid(status.st_gid)
    os.setuid(status.st_uid)
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME"):  # root's own
        os.environ.pop(name, None)
    os.environ["HOME"] = site
