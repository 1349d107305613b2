"""One machine, many users: what one of them learned serves all, and what one of them hands in harms none."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.conftest import ATTACH, CONNECT_ONCE, MakeHierarchy
from tests.manager.reports import mozilla
from tests.support import asn1
from tests.support.pki import Authority, der_of, pem, pem_blocks
from tests.support.servers import AIAHost, TLSServer
from tests.support.users import SITE, Users, require_users

SERVICE, FIRST, SECOND = 12_000, 12_001, 12_002

COLLECT = """
from aia_store.inside import settings
from aia_store.manager import handins
print(*handins.collect(settings.load()))
"""

NO_TIME_TO_CLEAR = """
from aia_store.manager import handins
handins.SECONDS_TO_CLEAR = -1
"""

PRETEND_A_DAEMON = """
import json, os
os.chdir("/var/cache/aia-store")
os.makedirs("locks", 0o755, exist_ok=True)
os.mkfifo("locks/daemon", 0o644)
state = dict.fromkeys(("refreshed", "last", "next_refresh")) | {"pid": 1, "process": "", "since": 0, "watching": ""}
with open("daemon.json", "w") as file:
    json.dump(state, file)
"""

IS_A_DAEMON_HERE = """
from aia_store.inside.store import Folder
from aia_store.manager.daemon import state
print(state.running(Folder("/var/cache/aia-store", shared=True)) is not None)
"""

PRELOAD = """
from aia_store.inside import settings
from aia_store.manager import preload
assert preload.run(["/var/cache/report.csv"], settings.load()).new == 1
"""


@pytest.fixture
def roots(tmp_path: Path) -> Path:
    """The machine's trust anchors, which every user may read."""
    return Path("/var/cache/roots.pem")


@pytest.fixture
def root() -> Authority:
    return Authority.root("Site Root")


@pytest.fixture(params=[0, SERVICE], ids=["root's", "a service user's"])
def owner(request: pytest.FixtureRequest) -> int:
    """The owner of the site's store."""
    user: int = request.param
    return user


@pytest.fixture
def users(roots: Path) -> Iterator[Users]:
    require_users()
    environment = {"AIA_STORE_ALLOWED_NETWORKS": "127.0.0.0/8", "AIA_STORE_ROOTS": str(roots)}
    with Users(environment) as made:
        yield made


@pytest.fixture
def site(users: Users, owner: int, root: Authority, roots: Path) -> Path:
    """The site's store, with the hand-in folder that a first collection makes."""
    trust(users, root)
    users.site.mkdir()
    os.chown(users.site, owner, owner)
    assert users.run(owner, COLLECT) == "0 0 False\n"
    return users.site


def trust(users: Users, *anchors: Authority) -> None:
    (users.root / "var/cache/roots.pem").write_text(pem(*anchors), encoding="ascii")


def kept(site: Path) -> set[bytes]:
    """The DER of what is in the site's store; every user may read it, and only its owner write."""
    found = set()
    for path in (site / "certificates").rglob("*"):
        assert path.stat().st_uid == site.stat().st_uid
        assert path.stat().st_mode & 0o7777 == (0o755 if path.is_dir() else 0o644)
        if path.is_file():
            found.update(pem_blocks(path.read_text(encoding="ascii")))
    return found


def handed_in(site: Path) -> list[Path]:
    return sorted((site / "hand-in").iterdir())


def settled() -> None:
    """A broken file is given a second, as it may still be being written."""
    time.sleep(1.1)


def test_what_the_first_learned_the_second_uses_with_no_fetch(
    users: Users, site: Path, owner: int, aia: AIAHost, hierarchy: MakeHierarchy
) -> None:
    pki = hierarchy({}, {})
    trust(users, pki.root)
    cafile = "/var/cache/roots.pem"
    with TLSServer(pki.leaf) as server:
        assert users.run(FIRST, ATTACH + CONNECT_ONCE, server.port, cafile) == "ok\n"
        assert aia.count() == 2
        assert [path.stat().st_mode & 0o7777 for path in handed_in(site)] == [0o644, 0o644]
        assert {path.name[:64] for path in handed_in(site)} == {
            path.stem for path in (users.root / f"var/cache/home-{FIRST}/.cache/aia-store").rglob("*.pem")
        }
        assert users.run(owner, COLLECT) == "2 0 False\n"
        assert handed_in(site) == []
        assert kept(site) == {authority.der for authority in pki.intermediates}
        for user in (SECOND, 0):
            assert users.run(user, ATTACH + CONNECT_ONCE, server.port, cafile) == "ok\n"
            assert not (users.root / f"var/cache/home-{user}/.cache").exists()
    assert aia.count() == 2
    assert handed_in(site) == []


def test_what_is_handed_in_says_nothing_of_the_host(
    users: Users, site: Path, aia: AIAHost, hierarchy: MakeHierarchy
) -> None:
    pki = hierarchy()
    with TLSServer(pki.leaf) as server:
        trust(users, pki.root)
        users.run(FIRST, ATTACH + CONNECT_ONCE, server.port, "/var/cache/roots.pem")
    (path,) = handed_in(site)
    assert path.read_text(encoding="ascii") == pki.intermediates[0].pem


def test_root_is_a_user_like_others_where_the_store_is_a_service_users(
    users: Users, site: Path, owner: int, aia: AIAHost, hierarchy: MakeHierarchy
) -> None:
    pki = hierarchy()
    trust(users, pki.root)
    with TLSServer(pki.leaf) as server:
        users.run(0, ATTACH + CONNECT_ONCE, server.port, "/var/cache/roots.pem")
    assert len(handed_in(site)) == (0 if owner == 0 else 1)
    users.run(owner, COLLECT)
    assert kept(site) == {pki.intermediates[0].der}


def test_users_of_what_the_site_has_say_so_once_a_day(
    users: Users, site: Path, owner: int, aia: AIAHost, hierarchy: MakeHierarchy
) -> None:
    pki = hierarchy()
    trust(users, pki.root)
    with TLSServer(pki.leaf) as server:
        connect = ATTACH + CONNECT_ONCE, server.port, "/var/cache/roots.pem"
        users.run(FIRST, *connect)
        users.run(owner, COLLECT)
        (path,) = (site / "certificates").rglob("*.pem")
        long_ago = time.time() - 40 * 86_400
        os.utime(path, (long_ago, long_ago))
        users.run(SECOND, *connect)
        users.run(SECOND, *connect)
    assert len(handed_in(site)) == 1
    assert users.run(owner, COLLECT) == "0 0 False\n"
    assert time.time() - path.stat().st_mtime < 60
    assert handed_in(site) == []
    assert aia.count() == 1


@pytest.mark.parametrize("is_writable", [True, False], ids=["with a store of one's own", "with nowhere to write"])
def test_what_the_site_preloaded_is_needed_there_once_a_user_needed_it(
    users: Users, site: Path, owner: int, is_writable: bool, aia: AIAHost, hierarchy: MakeHierarchy
) -> None:
    pki = hierarchy()
    trust(users, pki.root)
    (users.root / "var/cache/report.csv").write_bytes(mozilla([pki.intermediates[0]]))
    users.run(owner, PRELOAD)
    cache = users.root / f"var/cache/home-{FIRST}/.cache"
    if not is_writable:
        cache.parent.mkdir()
        cache.write_bytes(b"")
    assert kept(site) == set()
    with TLSServer(pki.leaf) as server:
        connect = ATTACH + CONNECT_ONCE, server.port, "/var/cache/roots.pem"
        assert users.run(FIRST, *connect) == "ok\n"
        assert len(list(cache.rglob("certificates/*/*/*.pem"))) == is_writable
        assert users.run(owner, COLLECT) == "1 0 False\n"
        assert kept(site) == {pki.intermediates[0].der}
        assert users.run(SECOND, *connect) == "ok\n"
    assert aia.count() == 0


@pytest.mark.parametrize("fault", ["absent", "a link", "a file", "not sticky", "another user's"])
def test_a_false_hand_in_folder_is_not_written(
    users: Users, site: Path, fault: str, aia: AIAHost, hierarchy: MakeHierarchy
) -> None:
    place = site / "hand-in"
    elsewhere = users.root / "var/cache/elsewhere"
    place.rename(elsewhere)
    if fault == "a link":
        place.symlink_to("/var/cache/elsewhere")
    elif fault == "a file":
        place.write_bytes(b"")
    elif fault != "absent":
        place.mkdir()
        place.chmod(0o777 if fault == "not sticky" else 0o1777)
        if fault == "another user's":
            os.chown(place, SECOND, SECOND)
    pki = hierarchy()
    trust(users, pki.root)
    with TLSServer(pki.leaf) as server:
        assert users.run(FIRST, ATTACH + CONNECT_ONCE, server.port, "/var/cache/roots.pem") == "ok\n"
    assert list(elsewhere.iterdir()) == []
    assert not place.is_dir() or handed_in(site) == []


HAND_IN = """
import sys
from aia_store.inside import settings
from aia_store.inside.certificate import Certificate, pem_certificates
from aia_store.inside.store import open_store
store = open_store(settings.load())
for der in pem_certificates(sys.argv[1].encode()):
    store.keep(Certificate(der))
"""


def test_a_process_hands_in_a_few_at_most(users: Users, site: Path, root: Authority) -> None:
    many = [root.intermediate(f"One of many {number}") for number in range(20)]
    users.run(FIRST, HAND_IN, pem(*many))
    assert len(handed_in(site)) == 16


def test_with_a_store_of_its_own_a_process_hands_nothing_in(users: Users, site: Path, root: Authority) -> None:
    users.run(FIRST, HAND_IN, pem(root.intermediate()), AIA_STORE_DIR="/var/cache/home-12001/store")
    assert handed_in(site) == []


def test_nobody_but_the_owner_collects(users: Users, site: Path, root: Authority, owner: int) -> None:
    users.run(FIRST, HAND_IN, pem(root.intermediate()))
    for user in {FIRST, SECOND, 0} - {owner}:
        assert users.run(user, COLLECT) == "0 0 False\n"
    assert len(handed_in(site)) == 1
    assert kept(site) == set()


def test_a_chain_that_was_handed_in_together_is_kept_in_whatever_order(
    users: Users, site: Path, root: Authority, owner: int
) -> None:
    upper = root.intermediate("Upper")
    middle = upper.intermediate("Middle")
    chain = [upper, middle, middle.intermediate("Lower")]
    users.run(FIRST, HAND_IN, pem(*reversed(chain)))
    assert users.run(owner, COLLECT) == "3 0 False\n"
    assert kept(site) == {*map(der_of, chain)}


# Hostile hand-ins. Each program runs as the first user in the hand-in folder, beside what the second handed in.

OTHERS = Authority.root("A root that is not the site's")


def links() -> str:
    return """
for number, target in enumerate(["/etc/shadow", "/var/cache/roots.pem", "/dev/zero", "/", "nowhere", "self"]):
    os.symlink(target, f"link-{number}.pem")
os.symlink("self", "self")
own = os.path.expanduser("~/own.pem")
with open(own, "w") as file:
    file.write(GOOD)
os.link(own, "hard.pem")
"""


def fifos_and_sockets() -> str:
    return """
import socket
os.mkfifo("fifo.pem")
listener = socket.socket(socket.AF_UNIX)
listener.bind("socket.pem")
"""


def folders() -> str:
    return """
os.mkdir("empty.pem")
os.makedirs("full.pem/inside")
with open("full.pem/inside/good.pem", "w") as file:
    file.write(GOOD)
"""


def rubbish() -> str:
    return """
contents = ["", "text", "-----BEGIN CERTIFICATE-----", GOOD[:300], GOOD + " " * 65536, "\\0" * 65536]
for number, text in enumerate(contents):
    with open(f"rubbish-{number}", "w") as file:
        file.write(text)
with open("unreadable.pem", "w") as file:
    file.write(GOOD)
os.chmod("unreadable.pem", 0)
with open("huge.pem", "w") as file:
    file.truncate(1 << 40)
"""


def certificates() -> str:
    """What must not be kept: each in a file of its own, with a name that claims it is something better."""
    real = Authority.root("Site Root")
    bad = [
        OTHERS,
        OTHERS.intermediate("Of an unknown root"),
        OTHERS.intermediate("Honest CA"),
        real,
        real.intermediate("Honest CA"),
        real.leaf(),
        OTHERS.leaf(),
    ]
    return f"""
for number, text in enumerate({[pem(item) for item in bad]!r}):
    with open(f"{{number}}-{{NAME}}.pem", "w") as file:
        file.write(text)
"""


def unreadable() -> str:
    """What names the site's root as its issuer, but `cryptography` cannot read, or does not know the key of."""
    real = Authority.root("Site Root")
    key = asn1.tlv(asn1.SEQUENCE, UNKNOWN_ALGORITHM, asn1.tlv(asn1.BIT_STRING, b"\0key"))
    upper = asn1.with_field(real.intermediate("Upper", authority_key_id=False).der, 6, key)
    bad = [asn1.with_field(real.intermediate(authority_key_id=False).der, 0, VERSION_6), upper]
    bad.append(Authority.root("Upper").intermediate("Lower", authority_key_id=False).der)
    return f"""
for number, text in enumerate({[pem(item) for item in bad]!r}):
    with open(f"{{number}}.pem", "w") as file:
        file.write(text)
"""


VERSION_6 = asn1.tlv(0xA0, asn1.tlv(asn1.INTEGER, b"\x05"))
UNKNOWN_ALGORITHM = asn1.tlv(asn1.SEQUENCE, asn1.tlv(asn1.OID, b"\x2a\x03\x04"))


def a_hundred_thousand() -> str:
    return """
for number in range(100_000):
    os.close(os.open(f"{number}.pem", os.O_WRONLY | os.O_CREAT))
"""


def a_thousand_impostors() -> str:
    """All with the name of what the second user handed in, and all below a root of their own of the site's name."""
    real = Authority.root("Site Root")
    impostors = [real.intermediate("Honest CA", key=real.key, serial=number + 1) for number in range(200)]
    return f"""
for number, text in enumerate({[pem(item) for item in impostors]!r}):
    for copy in range(5):
        with open(f"{{number}}-{{copy}}.pem", "w") as file:
            file.write(text)
"""


HOSTILE: list[Callable[[], str]] = [
    links,
    fifos_and_sockets,
    folders,
    rubbish,
    certificates,
    unreadable,
    a_hundred_thousand,
    a_thousand_impostors,
]


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("owner", [SERVICE], ids=["a service user's"])
def test_hostile_hand_ins_change_nothing_and_block_nobody(
    users: Users, site: Path, root: Authority, owner: int, hostile: Callable[[], str]
) -> None:
    before, honest = root.intermediate("Kept before"), root.intermediate("Honest CA")
    good = root.intermediate("What the hostile user could have handed in")
    users.run(SECOND, HAND_IN, pem(before))
    assert users.run(owner, COLLECT) == "1 0 False\n"
    (file,) = (site / "certificates").rglob("*.pem")
    as_it_was = file.stat().st_mtime_ns, file.stat().st_ino
    setting = f"import os; os.chdir('/var/cache/aia-store/hand-in'); GOOD = {good.pem!r}; NAME = {file.stem!r}\n"
    users.run(FIRST, setting + hostile())
    users.run(SECOND, HAND_IN, pem(honest))
    settled()
    started = time.monotonic()
    new, refused, more = users.run(owner, COLLECT).split()
    assert (new, more) == ("1", "False")
    assert int(refused) >= 1
    assert time.monotonic() - started < 20
    assert kept(site) == {before.der, honest.der}
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == as_it_was
    assert [path.name for path in handed_in(site)] == (["full.pem"] if hostile is folders else [])


@pytest.mark.parametrize("owner", [0], ids=["root's"])
def test_devices_and_what_belongs_to_others_are_removed_and_stay_as_they_are(
    users: Users, site: Path, root: Authority, owner: int
) -> None:
    precious = users.root / "var/cache/precious"
    precious.write_text(root.intermediate().pem)
    os.link(precious, site / "hand-in" / "linked.pem")
    os.mknod(site / "hand-in" / "device.pem", 0o666 | 0o020000, os.makedev(1, 5))
    settled()
    assert users.run(owner, COLLECT) == "0 2 False\n"
    assert handed_in(site) == []
    assert precious.exists()
    assert kept(site) == set()


@pytest.mark.parametrize("owner", [SERVICE], ids=["a service user's"])
def test_a_user_has_no_more_than_one_share(users: Users, site: Path, root: Authority, owner: int) -> None:
    key = root.intermediate().key
    greedy = [root.intermediate(f"Greedy {number}", key=key) for number in range(100)]
    for batch in range(0, 100, 10):
        users.run(FIRST, HAND_IN, pem(*greedy[batch : batch + 10]))
    modest = [root.intermediate(f"Modest {number}", key=key) for number in range(10)]
    users.run(SECOND, HAND_IN, pem(*modest))
    assert users.run(owner, COLLECT) == "74 36 False\n"
    assert {*map(der_of, modest)} <= kept(site)


@pytest.mark.parametrize("owner", [SERVICE], ids=["a service user's"])
def test_what_one_handed_in_is_no_issuer_of_anothers(users: Users, site: Path, root: Authority, owner: int) -> None:
    """The rivals have the name and the key of the real issuer, and live longer: they would be tried first."""
    upper = root.intermediate("Upper", not_after=timedelta(days=30))
    lower = [upper.intermediate(f"Lower {number}") for number in range(8)]
    impostor = Authority.root("Site Root")
    rivals = [impostor.intermediate("Upper", key=upper.key, authority_key_id=False) for _ in range(60)]
    for batch in range(0, 60, 15):
        users.run(FIRST, HAND_IN, pem(*rivals[batch : batch + 15]))
    for number, certificate in enumerate(lower):
        users.run(SECOND + number, HAND_IN, pem(upper, certificate))
    assert users.run(owner, COLLECT) == "9 60 False\n"
    assert kept(site) == {upper.der, *map(der_of, lower)}


@pytest.mark.parametrize("owner", [SERVICE], ids=["a service user's"])
def test_rubbish_that_comes_in_faster_than_it_goes_keeps_nobody_waiting(
    users: Users, site: Path, root: Authority, owner: int
) -> None:
    """It is removed last: here there is no time for that at all."""
    users.run(FIRST, f"import os; os.chdir({str(SITE / 'hand-in')!r})\nfor n in range(200): os.mkdir(str(n))")
    honest = root.intermediate()
    users.run(SECOND, HAND_IN, pem(honest))
    assert users.run(owner, NO_TIME_TO_CLEAR + COLLECT) == "1 0 True\n"
    assert kept(site) == {honest.der}
    assert users.run(owner, COLLECT) == "0 200 False\n"


@pytest.mark.parametrize("owner", [SERVICE], ids=["a service user's"])
def test_what_one_hands_in_without_its_issuer_another_can_hand_in_with_it(
    users: Users, site: Path, root: Authority, owner: int
) -> None:
    """Users come in random order: one of eight who leave the issuer out nearly always comes first."""
    upper = root.intermediate("Upper")
    lower = upper.intermediate("Lower")
    for number in range(8):
        users.run(SECOND + number, HAND_IN, pem(lower))
    users.run(FIRST, HAND_IN, pem(upper, lower))
    users.run(owner, COLLECT)
    assert kept(site) == {upper.der, lower.der}


SWAP_UNTIL_KILLED = """
import os, sys
os.chdir("/var/cache/aia-store/hand-in")
print("ready", flush=True)
number = 0
while True:
    number += 1
    with open("swapped.pem", "w") as file:
        file.write(sys.argv[1])
    os.mkfifo("fifo") if number % 2 else os.symlink("/var/cache/roots.pem", "fifo")
    os.rename("fifo", "swapped.pem")
    try:
        os.unlink("swapped.pem")
    except FileNotFoundError:
        pass
"""

COLLECT_OFTEN = """
from aia_store.inside import settings
from aia_store.manager import handins
for _ in range(300):
    handins.collect(settings.load())
"""


@pytest.mark.parametrize("owner", [SERVICE], ids=["a service user's"])
def test_files_that_are_swapped_during_the_collection_do_not_stop_it(
    users: Users, site: Path, root: Authority, owner: int
) -> None:
    orphan = OTHERS.intermediate("Of an unknown root")
    with users.start(FIRST, SWAP_UNTIL_KILLED, orphan.pem) as swapping:
        try:
            assert swapping.stdout
            assert swapping.stdout.readline() == "ready\n"
            users.run(owner, COLLECT_OFTEN)
        finally:
            os.killpg(swapping.pid, signal.SIGKILL)
    assert kept(site) == set()


@pytest.mark.parametrize("owner", [SERVICE], ids=["a service user's"])
def test_without_roots_what_was_handed_in_waits(users: Users, site: Path, root: Authority, owner: int) -> None:
    honest = root.intermediate()
    users.run(FIRST, HAND_IN, pem(honest))
    (users.root / "var/cache/roots.pem").write_text("")
    with users.start(owner, COLLECT) as process:
        _, errors = process.communicate(timeout=60)
    assert "RootsError" in errors
    assert len(handed_in(site)) == 1
    trust(users, root)
    assert users.run(owner, COLLECT) == "1 0 False\n"


# Who may own the site's store

COUNT = """
from aia_store.inside import settings
from aia_store.inside.store import open_store
print(len(open_store(settings.load()).certificates()))
"""


@pytest.mark.parametrize("above", [0o755, 0o775, 0o1777])
@pytest.mark.parametrize("owner", [SERVICE], ids=["a service user's"])
def test_a_store_of_another_user_is_only_read_where_only_root_could_put_it(
    users: Users, site: Path, root: Authority, owner: int, above: int
) -> None:
    users.run(owner, HAND_IN, pem(root.intermediate()))
    site.parent.chmod(above)
    found = users.run(FIRST, COUNT)
    assert found == ("1\n" if above == 0o755 else "0\n")


COMPANY = Authority.root("Company Root")

LINKED_CACHE = """
import os
os.symlink("/var/cache/precious", os.path.expanduser("~/.cache"))
"""


@pytest.mark.parametrize("owner", [SERVICE], ids=["a service user's"])
def test_root_makes_no_store_in_the_home_of_another_user(users: Users, site: Path, root: Authority, owner: int) -> None:
    """As under `sudo -E`, which keeps HOME: what is there can lead anywhere."""
    precious = users.root / "var/cache/precious"
    precious.mkdir()
    users.run(FIRST, LINKED_CACHE)
    users.run(0, HAND_IN, pem(root.intermediate()), HOME=f"/var/cache/home-{FIRST}")
    assert list(precious.iterdir()) == []
    assert [path.stat().st_uid for path in handed_in(site)] == [0], "the site's store is told all the same"


REFRESH_AND_CLEAR = """
from aia_store.inside import settings
from aia_store.manager import refresh
refresh.run(settings.load())
refresh.clear(settings.load())
"""

COMMAND = "import sys; sys.argv[0] = 'aia-store'; from aia_store.cli import main; main()"


@pytest.mark.parametrize("owner", [SERVICE], ids=["a service user's"])
def test_roots_command_line_leaves_a_service_users_store_to_the_service_user(
    users: Users, site: Path, root: Authority, owner: int
) -> None:
    stays, orphan = root.intermediate("Stays"), OTHERS.intermediate("Orphan")
    users.run(owner, HAND_IN, pem(stays, orphan))
    assert "1 intermediate kept, 1 dropped" in users.run(0, COMMAND, "refresh")
    assert users.run(0, COMMAND, "bundle") == "/var/cache/aia-store/bundle.pem\n"
    assert {path.stat().st_uid for path in site.rglob("*")} == {owner}
    assert kept(site) == {stays.der}
    users.run(0, COMMAND, "clear", "--yes")
    assert kept(site) == set()


EXTRA, OTHER_ROOTS = "/var/cache/company.pem", "/var/cache/other.pem"


def company(users: Users, path: str) -> Path:
    """A company's root in a file of root's; returns it as it is seen from outside."""
    file = users.root / path.lstrip("/")
    file.write_text(COMPANY.pem)
    return file


def complaint(users: Users, user: int, *arguments: str, **variables: str) -> str:
    """What a command that fails says on standard error."""
    with users.start(user, COMMAND, *arguments, **variables) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1, errors
    return errors


def test_the_machines_bundle_gets_no_roots_that_another_user_can_change(
    users: Users, site: Path, root: Authority, owner: int
) -> None:
    file = company(users, EXTRA)
    users.run(owner, COMMAND, "bundle", AIA_STORE_EXTRA_ROOTS=EXTRA)
    assert pem_blocks((site / "bundle.pem").read_text()) == [root.der, COMPANY.der]
    file.chmod(0o666)
    said = complaint(users, owner, "bundle", "--rebuild", AIA_STORE_EXTRA_ROOTS=EXTRA)
    assert f"users other than root can change {EXTRA}" in said
    assert pem_blocks((site / "bundle.pem").read_text()) == [root.der, COMPANY.der]


@pytest.mark.parametrize("owner", [SERVICE], ids=["a service user's"])
def test_nor_instead_of_its_own(users: Users, site: Path, root: Authority, owner: int) -> None:
    company(users, OTHER_ROOTS).chmod(0o666)
    users.run(owner, COMMAND, "bundle", "--rebuild", AIA_STORE_ROOTS="/var/cache/roots.pem")
    done = users.start(owner, COMMAND, "bundle", "--rebuild", AIA_STORE_ROOTS=OTHER_ROOTS)
    _, said = done.communicate(timeout=60)
    assert f"{OTHER_ROOTS} is ignored, because users other than root can change {OTHER_ROOTS}" in said
    assert COMPANY.der not in pem_blocks((site / "bundle.pem").read_text())


def test_whoever_keeps_the_machines_store_ignores_settings_of_others(users: Users, site: Path, owner: int) -> None:
    file = users.root / "var/cache/config/aia-store/config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("offline = true\n")
    show = "from aia_store.inside import settings; print(settings.load().offline)"
    assert users.run(owner, show) == "True\n"
    file.chmod(0o666)
    assert users.run(owner, show) == "False\n"
    assert users.run(FIRST, show) == "True\n", "who decides for nobody else believes what everybody can write"


TOGGLE = """
import os
folder = os.path.expanduser("~/.config/aia-store")
os.makedirs(folder)
open(f"{folder}/hidden", "w").write("dir = '/theirs'\\n")
print("ready", flush=True)
while True:
    os.rename(f"{folder}/hidden", f"{folder}/config.toml")
    os.rename(f"{folder}/config.toml", f"{folder}/hidden")
"""
LOAD_OFTEN = """
from aia_store.inside import settings
print({settings.load().dir for _ in range(20_000)})
"""


def test_settings_that_another_user_makes_just_now_are_not_roots(users: Users) -> None:
    """Under `sudo -E`, which keeps HOME: one look says that the file is missing, the next one finds it."""
    with users.start(FIRST, TOGGLE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            found = users.run(0, LOAD_OFTEN, HOME=f"/var/cache/home-{FIRST}")
        finally:
            process.kill()
    assert found == "{None}\n"


FUSE = "import sys; from tests.support.fuse import main; main(*sys.argv[1:])"


def test_what_a_user_mounted_is_not_roots_whatever_it_says_of_itself(users: Users) -> None:
    """Where /etc/fuse.conf has user_allow_other, root can look into it. Its program says that all is root's."""
    if not os.path.exists("/dev/fuse"):
        pytest.skip("there is no FUSE here")
    home = f"/var/cache/home-{FIRST}"
    users.run(FIRST, "")
    file = (".config/aia-store/config.toml", "offline = true\n")
    show = "from aia_store.inside import settings; print(settings.load().offline, settings.ignored())"
    with users.start(0, FUSE, FIRST, home, *file) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "mounted\n"
            assert users.run(FIRST, show) == "True []\n"
            found = users.run(0, show, HOME=home)
        finally:
            process.kill()
    assert found.startswith("False [")
    assert f"users other than root can change {home}" in found


@pytest.mark.parametrize("owner", [SERVICE], ids=["a service user's"])
def test_a_service_users_links_do_not_lead_root_astray(users: Users, site: Path, root: Authority, owner: int) -> None:
    precious = users.root / "var/cache/precious/etc/passwd.d/file"
    precious.parent.mkdir(parents=True)
    precious.write_text("precious")
    (site / "certificates").symlink_to("/var/cache/precious")
    shutil.rmtree(site / "tmp", ignore_errors=True)
    (site / "tmp").symlink_to("/var/cache/precious/etc")
    for command in (["refresh"], ["clear", "--yes"], ["bundle", "--rebuild"]):
        with users.start(0, COMMAND, *command) as process:
            process.communicate(timeout=60)
    users.run(0, HAND_IN, pem(root.intermediate()))
    users.run(0, REFRESH_AND_CLEAR)
    below = sorted(path.name for path in (users.root / "var/cache/precious").rglob("*"))
    assert below == ["etc", "file", "passwd.d"]
    assert precious.read_text() == "precious"


@pytest.mark.parametrize("owner", [SERVICE], ids=["a service user's"])
def test_a_service_users_fifos_keep_nobody_waiting(users: Users, site: Path, root: Authority, owner: int) -> None:
    """Nobody waits to see whether a daemon runs."""
    users.run(owner, PRETEND_A_DAEMON)
    for user in (0, FIRST):
        assert users.run(user, IS_A_DAEMON_HERE) == "False\n"


@pytest.mark.parametrize("owner", [SERVICE], ids=["a service user's"])
def test_even_a_patient_user_cannot_fill_the_store(users: Users, site: Path, root: Authority, owner: int) -> None:
    key = root.intermediate().key
    for batch in range(10):
        users.run(FIRST, HAND_IN, pem(*(root.intermediate(f"Filler {batch} {n}", key=key) for n in range(15))))
        users.run(owner, COLLECT)
    assert len(kept(site)) == 128
    assert (site / "shares.json").stat().st_mode & 0o777 == 0o600
    modest = root.intermediate("Modest", key=key)
    users.run(SECOND, HAND_IN, pem(modest))
    assert users.run(owner, COLLECT) == "1 0 False\n"
    shares = json.loads((site / "shares.json").read_text())
    shares[str(FIRST)][0] -= 31 * 86_400
    (site / "shares.json").write_text(json.dumps(shares))
    users.run(FIRST, HAND_IN, pem(root.intermediate("A month later", key=key)))
    assert users.run(owner, COLLECT) == "1 0 False\n"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"12001": 5}', '{"12001": [1e400, 5]}', "null"])
@pytest.mark.parametrize("owner", [0], ids=["root's"])
def test_strange_shares_are_forgotten(users: Users, site: Path, root: Authority, owner: int, text: str) -> None:
    (site / "shares.json").write_text(text)
    users.run(FIRST, HAND_IN, pem(root.intermediate()))
    assert users.run(owner, COLLECT) == "1 0 False\n"


@pytest.mark.parametrize("owner", [0, SERVICE], ids=["root's", "a service user's"])
def test_a_refresh_takes_what_was_handed_in_as_the_timer_and_cron_run_it(
    users: Users, site: Path, root: Authority, owner: int
) -> None:
    honest = root.intermediate()
    users.run(FIRST, HAND_IN, pem(honest, OTHERS.intermediate("Orphan")))
    said = users.run(owner, COMMAND, "refresh")
    assert "1 handed in" in said
    assert handed_in(site) == []
    assert kept(site) == {honest.der}
    assert honest.pem in (site / "bundle.pem").read_text()


@pytest.mark.parametrize("owner", [SERVICE], ids=["a service user's"])
def test_roots_status_add_and_check_are_about_the_service_users_store(
    users: Users, site: Path, root: Authority, owner: int, aia: AIAHost, hierarchy: MakeHierarchy
) -> None:
    pki = hierarchy()
    trust(users, root, pki.root)
    added = root.intermediate("Added")
    (users.root / "var/cache/added.pem").write_text(added.pem)
    users.run(0, COMMAND, "add", "/var/cache/added.pem")
    assert kept(site) == {added.der}
    with TLSServer(pki.leaf) as server, users.start(0, COMMAND, "check", f"127.0.0.1:{server.port}") as process:
        output, errors = process.communicate(timeout=60)
    assert "Test Intermediate" in output, errors
    assert kept(site) == {added.der, pki.intermediates[0].der}
    assert users.run(0, COMMAND, "bundle") == "/var/cache/aia-store/bundle.pem\n"
    variables = {"SSL_CERT_FILE": "/var/cache/aia-store/bundle.pem"}
    metrics = "/var/cache/root-only/aia_store.prom"
    (users.root / "var/cache/root-only").mkdir(mode=0o700)
    with users.start(0, COMMAND, "status", "--json", "--prometheus", metrics, **variables) as process:
        output, errors = process.communicate(timeout=60)
    found = {item["name"]: item for item in json.loads(output)}
    assert found.pop("hook")["level"] in ("ok", "hint", "problem"), "of this machine's interpreters"
    assert {item["level"] for item in found.values()} == {"ok"}, found
    assert "2 intermediates in /var/cache/aia-store" in found["store"]["state"]
    assert "aia_store_needed 2" in (users.root / metrics.lstrip("/")).read_text()
    assert not (users.root / "var/cache/home-0/.cache").exists()
    assert {path.stat().st_uid for path in site.rglob("*")} == {owner}


def test_a_user_with_nowhere_to_write_has_the_machines_bundle_for_as_long_as_it_is_fresh(
    users: Users, site: Path, root: Authority, owner: int
) -> None:
    users.run(owner, HAND_IN, pem(root.intermediate()))
    users.run(owner, COMMAND, "bundle")
    home = users.root / f"var/cache/home-{FIRST}"
    home.mkdir()
    (home / ".cache").write_bytes(b"")
    os.chown(home, FIRST, FIRST)
    with users.start(FIRST, COMMAND, "bundle") as process:
        assert process.communicate(timeout=60) == ("/var/cache/aia-store/bundle.pem\n", "")
    users.run(owner, HAND_IN, pem(root.intermediate("Another")))
    with users.start(FIRST, COMMAND, "bundle") as process:
        output, errors = process.communicate(timeout=60)
    assert output == "/var/cache/aia-store/bundle.pem\n"
    assert errors.count("this is the last good bundle") == errors.count("\n") == 1
