"""Random histories of a machine's trust anchors: each step is a real change, and after some steps the manager acts.

`python -m tests.manager.roots_walk FIRST LAST FOLDER` walks the histories of these seeds, in a mount namespace whose
/etc is its own (tests/manager/system.py). Prints one JSON object: how many steps led to what. Ends at the first
history that comes out wrong, with a traceback that names the seed.

What must hold: after each action, the bundle holds exactly the trust anchors of the system's present state, if that is
sound; otherwise there is an error, and the bundle is unchanged, or does not exist.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import time
from collections import Counter
from pathlib import Path

import certifi

from aia_store.inside.certificate import Certificate, pem_certificates
from aia_store.inside.settings import Settings
from aia_store.inside.store import BUNDLE, BUNDLE_STATE, CHANGED, REFRESHED, Folder
from aia_store.manager import bundle, refresh, roots
from aia_store.manager.daemon.watch_list import Lookout
from aia_store.manager.daemon.watching import Watcher
from aia_store.manager.daemon.work import build

FILE = Path("/etc/ssl/certs/ca-certificates.crt")
CERTIFI = Path(certifi.where())
DAY = 86_400
MOST_STEPS = 8


class Walk:
    """One history. `anchors` and `of_certifi` are PEM blocks; `intermediate` hangs on the first anchor."""

    def __init__(self, seed: int, store: Path, anchors: list[str], of_certifi: str, intermediate: str) -> None:
        self.chance = random.Random(seed)
        self.settings = Settings()
        self.settings.dir = str(store)
        self.anchors, self.of_certifi = anchors, of_certifi
        self.hung = next(pem_certificates(intermediate.encode()))
        self.on = next(pem_certificates(anchors[0].encode()))
        self.sound: list[str] | None = None  # what the system's file holds, where it is whole
        self.last: set[bytes] | None = None  # what the bundle holds
        self.was_the_systems = False  # whether the last bundle was made of it
        self.lookout = Lookout(self.settings, Watcher(lambda: None, lambda: None, lambda _: None))
        self.built_from: object = None
        self.seen: Counter[str] = Counter()
        shutil.rmtree(FILE.parent)
        FILE.parent.mkdir(parents=True)
        CERTIFI.unlink(missing_ok=True)
        Folder(str(store)).keep(Certificate(self.hung))

    def run(self) -> Counter[str]:
        """Walk it to its end; returns how often each thing happened."""
        for _ in range(self.chance.randint(2, MOST_STEPS)):
            for _ in range(self.chance.randint(1, 3)):
                self.change()
            self.act()
        self.lookout.watcher.stop()
        return self.seen

    # What happens to the machine

    def change(self) -> None:
        change = self.chance.choice(
            [
                self.replace,
                self.replace,
                self.empty,
                self.cut,
                self.remove,
                self.lead_nowhere,
                self.toggle_certifi,
                self.age,
            ]
        )
        self.seen[change.__name__] += 1
        change()

    def replace(self) -> None:
        """Or restore it: as trust managers do, written beside and renamed over; or in place."""
        self.sound = self.chance.sample(self.anchors, self.chance.randint(1, len(self.anchors)))
        beside = FILE.with_name("beside.new") if self.chance.random() < 0.7 else FILE
        if beside is FILE and FILE.is_symlink():
            FILE.unlink()
        beside.write_text("".join(self.sound))
        beside.replace(FILE)

    def empty(self) -> None:
        if FILE.is_file():
            FILE.write_text("")
            self.sound = None

    def cut(self) -> None:
        """Cut the file within a block; a cut between two blocks would leave a valid file."""
        if self.sound is None:
            return
        whole = "".join(self.sound)
        ends = {0}
        for number in range(len(self.sound)):
            ends.update(len("".join(self.sound[: number + 1])) - less for less in (0, 1))
        length = self.chance.choice(sorted(set(range(len(whole))) - ends))
        os.truncate(FILE, length)
        self.sound = None

    def remove(self) -> None:
        FILE.unlink(missing_ok=True)
        self.sound = None

    def lead_nowhere(self) -> None:
        """Nothing but a link that leads nowhere."""
        FILE.unlink(missing_ok=True)
        FILE.symlink_to("nowhere")
        self.sound = None

    def toggle_certifi(self) -> None:
        if CERTIFI.exists():
            CERTIFI.unlink()
        else:
            CERTIFI.write_text(self.of_certifi)

    def age(self) -> None:
        """The clock moves, as far as the manager can tell: what it wrote is older, or in the future."""
        home = Folder(str(self.settings.dir))
        state = Path(home.path) / BUNDLE_STATE
        if state.exists():
            days = self.chance.choice([-400, -2, 2, 400])
            written = json.loads(state.read_text())
            state.write_text(json.dumps(written | {"built": written["built"] - days * DAY}))
            for name in (REFRESHED, CHANGED):
                if (Path(home.path) / name).exists():
                    (Path(home.path) / name).write_text(f"{time.time() - days * DAY:.0f}\n")
                    os.utime(Path(home.path) / name, (time.time() - days * DAY,) * 2)

    # What is done about it

    def act(self) -> None:
        deed = self.chance.choice([self.by_bundle, self.by_refresh, self.by_daemon])
        self.seen[deed.__name__] += 1
        error: Exception | None = None
        try:
            deed()
        except (roots.RootsError, bundle.BundleError) as failed:
            error = failed
        self.judge(error)

    def by_bundle(self) -> None:
        bundle.path(self.settings)

    def by_refresh(self) -> None:
        refresh.run(self.settings)

    def by_daemon(self) -> None:
        """What the daemon's turn does: it looks, and has the bundle built if that says so."""
        self.lookout.watch()
        seen = self.lookout.trust()
        if seen != self.built_from or not bundle.are_fresh(self.settings, Folder(str(self.settings.dir))):
            self.built_from = seen
            build(self.settings)

    def judge(self, error: Exception | None) -> None:
        file = Path(str(self.settings.dir)) / BUNDLE
        found = set(pem_certificates(file.read_bytes())) if file.exists() else None
        anchors = found - {self.hung} if found else found
        assert found is None or (self.hung in found) <= (self.on in found), "an intermediate without its anchor"
        if self.sound is not None:
            assert error is None, error
            assert anchors == self.ders("".join(self.sound))
            self.was_the_systems = True
            self.seen["the system's"] += 1
        elif self.is_there() or self.was_the_systems or not CERTIFI.exists():
            assert error is not None
            assert found == self.last
            self.seen["an error and the last bundle" if self.last else "an error"] += 1
        else:
            assert error is None, error
            assert anchors == self.ders(self.of_certifi)
            self.seen["certifi's"] += 1
        self.last = found

    def is_there(self) -> bool:
        return os.path.lexists(FILE)

    @staticmethod
    def ders(text: str) -> set[bytes]:
        return set(pem_certificates(text.encode()))


def main(first: int, last: int, folder: Path) -> None:
    """Walk the histories of these seeds; `folder` has the PEM files `anchors`, `certifi` and `intermediate`."""
    # Each ends with one line feed: a file that has lost no more than that is whole, and `cut` has to know.
    anchors = [block.rstrip("\n") + "\n" for block in (folder / "anchors").read_text().split("\n\n")]
    texts = [(folder / name).read_text() for name in ("certifi", "intermediate")]
    seen: Counter[str] = Counter()
    for seed in range(first, last):
        store = folder / f"store-{seed}"
        try:
            seen += Walk(seed, store, anchors, *texts).run()
        except Exception as error:
            raise AssertionError(f"the history of seed {seed} came out wrong") from error
        shutil.rmtree(store)
    print(json.dumps(seen))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
