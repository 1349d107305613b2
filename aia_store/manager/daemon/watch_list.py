"""The files and folders that matter to the daemon, and their present state."""

from __future__ import annotations

import os

from ...inside import settings as config
from ...inside.settings import Settings
from ...inside.store import CHANGED, folders_of, hand_in_folder
from .. import roots
from .parent_folders import identity, own_identity, plan
from .watching import Watcher

SETTLES = 5  # attempts to set watches while paths may be changing


class Lookout:
    """Watches the trust anchors, the configuration, the store folders, and the folder for certificates from users."""

    def __init__(self, settings: Settings, watcher: Watcher) -> None:
        self.watcher = watcher
        self._settings = settings
        self._trust_paths = [settings.roots] if settings.roots is not None else []
        self._handins = hand_in_folder(settings)

    def watch(self) -> str:
        """Watch all folders on the present paths of these files; returns in words how they are watched."""
        try:
            self._trust_paths = roots.watched(roots.source(self._settings))
        except roots.RootsError:  # the previous ones stay, and others may appear in any place
            anywhere = roots.watched(None) if self._settings.roots is None else []
            self._trust_paths = sorted({*self._trust_paths, *anywhere})
        changes = [os.path.join(folder.path, CHANGED) for folder in folders_of(self._settings)]
        arrivals = None
        if self._handins is not None:
            changes.append(self._handins)
            arrivals = os.path.realpath(self._handins) if os.path.isdir(self._handins) else None
        for _ in range(SETTLES):
            places = plan([*self._trust_paths, *config.files(), *changes])
            if not self.watcher.watch(places, arrivals):
                break
        return f"watching {len(places) + (arrivals is not None)} folders by {self.watcher.method}"

    def trust(self) -> object:
        """A value that changes whenever the trust anchors may have changed."""
        try:
            source: object = roots.source(self._settings)
        except roots.RootsError as error:
            source = str(error)
        return source, *map(identity, self._trust_paths)

    def handins(self) -> object:
        """A value that changes whenever a file appears or vanishes in the folder for certificates from users."""
        return own_identity(self._handins) if self._handins is not None else None


def configuration() -> object:
    """A value that changes whenever a configuration file changes."""
    return tuple(map(identity, config.files()))
