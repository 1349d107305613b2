"""The system's places of trust anchors, in any state: the anchors are never silently replaced by others."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator

import pytest

from aia_store.inside.settings import Settings
from aia_store.manager import roots
from tests.manager.system import STORE, System
from tests.support.pki import Authority, pem
from tests.support.users import Users, require_users

ONE, TWO, OF_CERTIFI = (Authority.root(f"System Root {number}") for number in range(3))
USER = 1000
SOURCE = """
from aia_store.inside import settings
from aia_store.manager import roots
source = roots.source(settings.load())
print(source.path, source.is_fallback, source.remedy)
"""


@pytest.fixture
def system() -> Iterator[System]:
    """A machine whose only trust anchor is certifi's."""
    require_users()
    with Users({"AIA_STORE_DIR": STORE}) as users:
        found = System(users)
        found.certifi.write_text(OF_CERTIFI.pem)
        yield found


def emptied(system: System) -> None:
    system.file.write_text("")


def cut_in_the_middle_of_a_block(system: System) -> None:
    os.truncate(system.file, system.file.stat().st_size - 100)


def with_joined_lines(system: System) -> None:
    system.file.write_text(ONE.pem.rstrip() + TWO.pem)


def overwritten_with_zeros(system: System) -> None:
    size = system.file.stat().st_size
    os.truncate(system.file, 300)
    os.truncate(system.file, size)


def removed(system: System) -> None:
    system.file.unlink()


def removed_with_its_folder(system: System) -> None:
    system.certs.rename(system.etc / "moved")


def leading_nowhere(system: System) -> None:
    system.file.unlink()
    system.file.symlink_to("nowhere")


def made_a_folder(system: System) -> None:
    system.file.unlink()
    system.file.mkdir()


def made_a_fifo(system: System) -> None:
    system.file.unlink()
    os.mkfifo(system.file)


def made_our_bundle(system: System) -> None:
    system.file.write_bytes(system.bundle_file.read_bytes())


FAULTS = [
    emptied,
    cut_in_the_middle_of_a_block,
    with_joined_lines,
    overwritten_with_zeros,
    removed,
    removed_with_its_folder,
    leading_nowhere,
    made_a_folder,
    made_a_fifo,
    made_our_bundle,
]


@pytest.mark.parametrize("fault", FAULTS)
def test_the_last_bundle_stays_where_the_file_is(system: System, fault: Callable[[System], None]) -> None:
    system.trust(ONE, TWO)
    assert system.build() == [ONE.der, TWO.der]
    fault(system)
    assert "/etc/ssl/certs/ca-certificates.crt" in system.keeps_the_last_bundle()
    status = system.run("status")
    assert status.returncode == 1
    assert "ca-certificates.crt" in "".join(status.stdout.split())
    if system.file.is_dir():
        system.file.rmdir()
    system.certs.mkdir(exist_ok=True)
    system.trust(TWO)
    assert system.build() == [TWO.der], "and it follows at once"


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in (removed, removed_with_its_folder)])
def test_without_a_last_bundle_certifis_do_not_serve(system: System, fault: Callable[[System], None]) -> None:
    system.trust(ONE, TWO)
    if fault is made_our_bundle:
        system.build()
    fault(system)
    system.bundle_file.with_name("bundle.json").unlink(missing_ok=True)
    done = system.run("bundle")
    assert (done.returncode, done.stdout) == (1, ""), done
    assert "/etc/ssl/certs/ca-certificates.crt" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("closed", ["ssl", "ssl/certs", "ssl/certs/ca-certificates.crt"])
def test_what_a_user_may_not_read_is_an_error(system: System, closed: str) -> None:
    system.trust(ONE)
    variables = {"AIA_STORE_DIR": f"/var/cache/home-{USER}/store"}
    assert system.run("bundle", user=USER, **variables).returncode == 0
    bundle = system.users.root / f"var/cache/home-{USER}/store/bundle.pem"
    before = bundle.read_bytes()
    (system.etc / closed).chmod(0)
    done = system.run("bundle", user=USER, **variables)
    assert done.returncode == 1
    assert "/etc/ssl/certs/ca-certificates.crt cannot be read (Permission denied)" in done.stderr
    assert bundle.read_bytes() == before


# Hashed folders


def test_a_hashed_folder_alone_is_read(system: System) -> None:
    system.hash(ONE, TWO)
    assert set(system.build()) == {ONE.der, TWO.der}
    (system.certs / "anchor-1.pem").write_text(OF_CERTIFI.pem)
    assert system.build() == [ONE.der], "OpenSSL finds nothing under the name of another"


def test_a_file_that_comes_to_a_hashed_folder_is_followed_at_once(system: System) -> None:
    system.hash(ONE)
    assert system.build() == [ONE.der]
    system.trust(ONE, TWO)
    assert system.build() == [ONE.der, TWO.der]


def test_a_folder_does_not_take_the_place_of_a_file_that_is_gone(system: System) -> None:
    system.hash(ONE)
    system.trust(ONE, TWO)
    system.build()
    system.file.unlink()
    assert "ca-certificates.crt, which the last bundle was made from, is gone" in system.keeps_the_last_bundle()


def dangling(system: System) -> None:
    (system.certs / "anchor-0.pem").unlink()


def damaged(system: System) -> None:
    (system.certs / "anchor-0.pem").write_text(ONE.pem[:200])


def cleared(system: System) -> None:
    for path in system.certs.iterdir():
        path.unlink()


@pytest.mark.parametrize("fault", [dangling, damaged, cleared])
def test_the_last_bundle_stays_where_a_folder_is(system: System, fault: Callable[[System], None]) -> None:
    system.hash(ONE, TWO)
    before = set(system.build())
    fault(system)
    assert "/etc/ssl/certs" in system.keeps_the_last_bundle()
    system.hash(ONE, TWO)
    assert set(system.build()) == before


# certifi


def test_certifis_serve_where_the_system_has_nothing_and_that_is_known(system: System) -> None:
    system.file.parent.rmdir()
    assert system.build() == [OF_CERTIFI.der]
    path, is_fallback, remedy = system.users.run(0, SOURCE, AIA_STORE_DIR=STORE).strip().split(" ", 2)
    assert path.endswith("certifi/cacert.pem")
    assert (is_fallback, remedy) == ("True", "install ca-certificates")
    (told,) = (aspect for aspect in json.loads(system.run("status", "--json").stdout) if aspect["name"] == "roots")
    assert (told["level"], told["remedy"]) == ("problem", "install ca-certificates")


def test_the_systems_own_are_not_a_fallback(system: System) -> None:
    system.trust(ONE)
    assert system.users.run(0, SOURCE, AIA_STORE_DIR=STORE) == "/etc/ssl/certs/ca-certificates.crt False None\n"


@pytest.mark.parametrize("place", roots.SYSTEM_FILES[:3])
def test_once_made_of_certifis_it_follows_the_systems_at_once(system: System, place: str) -> None:
    assert system.build() == [OF_CERTIFI.der]
    file = system.users.root / place.lstrip("/")
    if not place.startswith("/etc"):
        pytest.skip("only /etc is the test's")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(ONE.pem)
    assert system.build() == [ONE.der]


def test_a_hashed_folder_that_comes_is_followed_at_once(system: System) -> None:
    assert system.build() == [OF_CERTIFI.der]
    system.hash(ONE)
    assert system.build() == [ONE.der]


@pytest.mark.parametrize("trace", ["ca-certificates.conf", "pki/ca-trust/source/", "ca-certificates/trust-source/"])
def test_certifis_are_not_used_if_the_system_has_had_some(system: System, trace: str) -> None:
    path = system.etc / trace
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir() if trace.endswith("/") else path.touch()
    done = system.run("bundle")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"the system's trust anchors are gone, though /etc/{trace.rstrip('/')} is here" in done.stderr


def test_without_certifi_there_are_none(system: System) -> None:
    system.certifi.unlink()
    assert "no trust anchors were found; install ca-certificates" in system.run("bundle").stderr
    for module in system.certifi.parent.glob("*.py"):
        module.unlink()
    shutil.rmtree(system.certifi.parent / "__pycache__", ignore_errors=True)
    assert "no trust anchors were found; install ca-certificates" in system.run("bundle").stderr


# The file that the environment names


@pytest.fixture
def named(system: System) -> str:
    """A CA file in no place that is known."""
    (system.users.root / "var/cache/nix.crt").write_text(ONE.pem)
    return "/var/cache/nix.crt"


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "NIX_SSL_CERT_FILE"])
def test_a_file_that_is_named_is_the_machines_if_there_is_no_other(system: System, named: str, variable: str) -> None:
    assert system.build(**{variable: named}) == [ONE.der]
    system.trust(TWO)
    assert system.build(**{variable: named}) == [TWO.der]


def test_our_own_bundle_is_not_taken_and_what_it_was_made_of_is(system: System, named: str) -> None:
    assert system.build(SSL_CERT_FILE=named) == [ONE.der]
    (system.users.root / named.lstrip("/")).write_text(pem(ONE, TWO))
    assert system.build(SSL_CERT_FILE=f"{STORE}/bundle.pem") == [ONE.der, TWO.der]
    (system.users.root / named.lstrip("/")).write_text(pem(TWO))
    assert system.build() == [TWO.der], "in a service, nothing is named"


def test_our_own_bundle_alone_is_nothing(system: System) -> None:
    assert system.build() == [OF_CERTIFI.der]
    before = system.bundle_file.stat().st_mtime_ns
    assert system.build(SSL_CERT_FILE=f"{STORE}/bundle.pem") == [OF_CERTIFI.der]
    assert system.bundle_file.stat().st_mtime_ns == before, "it was fresh"


def test_another_file_that_is_named_is_followed_at_once(system: System, named: str) -> None:
    assert system.build(SSL_CERT_FILE=named) == [ONE.der]
    (system.users.root / "var/cache/other.crt").write_text(TWO.pem)
    assert system.build(SSL_CERT_FILE="/var/cache/other.crt") == [TWO.der]
    assert system.build(SSL_CERT_FILE=named) == [ONE.der]


def test_a_named_file_that_is_gone_or_damaged_is_an_error(system: System, named: str) -> None:
    system.build(SSL_CERT_FILE=named)
    (system.users.root / named.lstrip("/")).write_text(ONE.pem[:300])
    assert f"{named} is cut short" in system.keeps_the_last_bundle(SSL_CERT_FILE=named)
    (system.users.root / named.lstrip("/")).unlink()
    assert f"{named}, which the last bundle was made from, is gone" in system.keeps_the_last_bundle(SSL_CERT_FILE=named)


def owned(system: System, named: str) -> None:
    os.chown(system.users.root / named.lstrip("/"), USER, USER)


def behind_a_link_of_theirs(system: System, named: str) -> None:
    file = system.users.root / named.lstrip("/")
    theirs = file.with_name("theirs")
    theirs.mkdir()
    os.chown(theirs, USER, USER)
    file.rename(file.with_name("file.crt"))
    (theirs / "link").symlink_to("/var/cache/file.crt")
    file.symlink_to("/var/cache/theirs/link")


@pytest.mark.parametrize("give", [owned, behind_a_link_of_theirs])
def test_root_takes_no_file_that_another_user_can_change(
    system: System, named: str, give: Callable[[System, str], None]
) -> None:
    give(system, named)
    assert system.build(SSL_CERT_FILE=named) == [OF_CERTIFI.der]


@pytest.mark.parametrize("variables", [{}, {"SSL_CERT_FILE": "/var/cache/nix.crt"}], ids=["by the note", "by name"])
def test_root_no_longer_takes_a_file_that_another_user_came_to_own(
    system: System, named: str, variables: dict[str, str]
) -> None:
    system.build(SSL_CERT_FILE=named)
    owned(system, named)
    said = system.keeps_the_last_bundle(**variables)
    assert f"{named}, which the last bundle was made from, can now be changed by users other than root" in said


# What is watched


def test_all_that_is_preferred_is_watched() -> None:
    where = roots.Source("/certifi.pem", "why", preferred=("/etc/one.pem", "/etc/two"))
    assert roots.watched(where)[:3] == ["/certifi.pem", "/etc/one.pem", "/etc/two"]
    assert set(roots.SYSTEM_FILES) <= set(roots.watched(None))
    assert roots.source(Settings()).path not in roots.source(Settings()).preferred
