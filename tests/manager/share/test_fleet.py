"""What one machine has learned, the others use without a fetch; and what is private stays where it was learned."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from tests.manager.machine import Machine, fingerprint
from tests.manager.share.conftest import Join
from tests.manager.share.engines import Engine, WebServer
from tests.support.pki import Authority, Certified
from tests.support.servers import AIAHost, TLSServer


def preloaded(machine: Machine) -> set[str]:
    """The fingerprints of what is preloaded."""
    return {path.stem for path in machine.store.glob("preloaded/*/*/*.pem")}


def files(*certificates: Certified) -> set[str]:
    """The names that these have on a shelf."""
    return {f"{fingerprint(certificate)}.der" for certificate in certificates}


def certificates_in(engine: Engine) -> set[str]:
    """The names of the published certificates."""
    return {name for name in engine.names("out") if name.endswith(".der")}


def test_what_the_first_learned_the_others_use_without_a_fetch(
    engine: Engine, join: Join, public: Authority, aia: AIAHost
) -> None:
    upper = public.intermediate("Upper", aia=[aia.publish("/root.cer", public.der)])
    lower = upper.intermediate("Lower", aia=[aia.publish("/upper.cer", upper.der)])
    leaf = lower.leaf(aia=[aia.publish("/lower.cer", lower.der)])
    first, hub = join("first", engine), join("hub", engine)
    others = [join(name, engine, reads=True) for name in ("second", "third")]
    with TLSServer(leaf) as server:
        first.learn(server.port)
        fetches = aia.count()
        assert fetches > 0
        assert first.json("refresh")["shared"]["handed_in"] == 2
        assert engine.names("in") == files(upper, lower)
        published = hub.json("share", "publish")
        assert (published["taken"], published["published"]) == (2, {"total": 2, "new": 2, "repaired": 0})
        for machine in others:
            pulled = machine.json("share", "pull")
            assert (pulled["offered"], pulled["taken"], pulled["refused"], pulled["notes"]) == (2, 2, {}, [])
            assert machine.kept() == set(), "nothing was needed yet, so nothing enters the bundle"
            machine.learn(server.port)
            assert machine.kept() == {upper.der, lower.der}
    assert aia.count() == fetches
    assert first.json("refresh")["shared"]["handed_in"] == 0, "it is handed in once"
    assert certificates_in(engine) == files(upper, lower)


def test_where_nothing_is_new_a_machine_makes_one_conditional_request(
    join: Join, public: Authority, tmp_path: Path
) -> None:
    with WebServer(tmp_path / "web") as server:
        hub, machine = join("hub", server), join("machine", server, reads=True)
        hub.plant(public.intermediate())
        hub.json("share", "publish")
        before = time.time() - 120
        os.utime(server.folder / "out" / "manifest", (before, before))
        assert machine.json("share", "pull")["taken"] == 1
        server.requests.clear()
        server.statuses.clear()
        assert machine.json("share", "pull")["taken"] == 0
        assert (server.requests, server.statuses) == (["/out/manifest"], [304])


def test_nothing_of_a_private_ca_leaves_without_the_setting(shelf: Engine, join: Join, public: Authority) -> None:
    company = Authority.root("Company Root")
    private, common = company.intermediate("Company Intermediate"), public.intermediate("Public Intermediate")
    machine = join("machine", shelf, company)
    machine.plant(private, common)
    assert machine.json("refresh")["shared"]["handed_in"] == 1
    assert shelf.names("in") == files(common)
    assert machine.json("share", "publish")["published"] == {"total": 1, "new": 1, "repaired": 0}
    assert certificates_in(shelf) == files(common)
    assert b"Company" not in b"".join(path.read_bytes() for path in shelf.folder.rglob("*") if path.is_file())
    machine.json("share", "publish", AIA_STORE_SHARE_PRIVATE="1")
    assert shelf.names("in") == certificates_in(shelf) == files(common, private)


def test_a_company_root_in_a_systems_file_that_certifi_names_is_not_public(
    shelf: Engine, join: Join, public: Authority
) -> None:
    """Debian's certifi names the system's file, to which an administrator adds a company's root."""
    machine = join("machine", shelf)
    machine.plant(public.intermediate())
    certifi = machine.folder.parent / "site" / "certifi" / "__init__.py"
    certifi.write_text(f"def where():\n    return {str(machine.roots)!r}\n")
    assert machine.json("refresh")["shared"]["handed_in"] == 0
    assert shelf.names("in") == set()


def test_two_hubs_publish_the_same(shelf: Engine, join: Join, public: Authority) -> None:
    here, there = public.intermediate("Here"), public.intermediate("There")
    hubs = [join("one hub", shelf), join("another hub", shelf)]
    for hub, certificate in zip(hubs, (here, there), strict=True):
        hub.plant(certificate)
        hub.json("share", "publish")
    hubs[0].json("share", "publish")
    manifest = shelf.get("out/manifest")
    assert all(fingerprint(one).encode() in manifest for one in (here, there))
    hubs[1].json("share", "publish")
    assert shelf.get("out/manifest") == manifest


def test_a_hub_forgets_what_expired_or_was_revoked(shelf: Engine, join: Join, public: Authority) -> None:
    from tests.manager.revoking import by_serial, onecrl

    good, revoked = public.intermediate("Good"), public.intermediate("Revoked")
    hub = join("hub", shelf)
    hub.plant(good)
    shelf.put(f"in/{fingerprint(revoked)}.der", revoked.der)
    assert hub.json("share", "publish")["published"]["total"] == 2
    listed = hub.folder / "onecrl.json"
    listed.write_bytes(onecrl([by_serial(revoked)]))
    refreshed = hub.json("refresh", AIA_STORE_REVOCATION_LISTS=str(listed), AIA_STORE_SHARE_PUBLISH="1")
    assert refreshed["shared"]["published"] == {"total": 1, "new": 0, "repaired": 0}
    assert fingerprint(revoked).encode() not in shelf.get("out/manifest")
    assert fingerprint(good).encode() in shelf.get("out/manifest")


def test_status_and_metrics_say_what_is_shared(shelf: Engine, join: Join, public: Authority) -> None:
    machine = join("machine", shelf)
    machine.build()
    shares = next(one for one in json.loads(machine.run("status", "--json").stdout) if one["name"] == "share")
    assert (shares["level"], shares["state"]) == ("hint", f"file://{shelf.folder}: no round yet")
    good, stranger = public.intermediate(), Authority.root("Stranger").intermediate()
    hub = join("hub", shelf, Authority.root("Another"))
    hub.plant(good)
    hub.json("share", "publish")
    shelf.put(f"in/{fingerprint(stranger)}.der", stranger.der)
    assert hub.json("share", "publish")["refused"] == {"it leads to no trust anchor of this machine": 1}
    assert hub.json("share", "status")["refused"] == {"it leads to no trust anchor of this machine": 1}
    machine.json("share", "pull")
    status = machine.json("share", "status")
    assert (status["shelf"], status["taken"], status["failed"]) == (f"file://{shelf.folder}", 1, False)
    assert "1 taken" in machine.says("share", "status")
    shares = next(one for one in json.loads(machine.run("status", "--json").stdout) if one["name"] == "share")
    assert shares["level"] == "ok"
    machine.run("status", "--prometheus", machine.folder / "metrics")
    metrics = (machine.folder / "metrics").read_text()
    assert "\naia_store_share_taken 1\n" in metrics
    assert "\naia_store_share_last_round_failed 0\n" in metrics


def test_a_shelf_that_is_not_set_is_wrong_use(join: Join, shelf: Engine) -> None:
    machine = join("machine", shelf)
    for command in ("pull", "publish", "status"):
        assert "no shelf is set" in machine.complains("share", command, status=2, AIA_STORE_SHARE=None)


def test_whoever_lacks_many_gets_them_in_one_file(join: Join, public: Authority, tmp_path: Path) -> None:
    with WebServer(tmp_path / "web") as server:
        hub, machine, late = join("hub", server), join("machine", server, reads=True), join("late", server, reads=True)
        first, second = ([public.intermediate(f"{name} {number}") for number in range(9)] for name in ("One", "Two"))
        for new in (first, second):
            hub.plant(*new)
            hub.json("share", "publish")
            server.requests.clear()
            assert machine.json("share", "pull")["taken"] == 9
            assert len(server.requests) == 2, "the manifest and a pack"
        server.requests.clear()
        assert late.json("share", "pull")["taken"] == 18
        assert len(server.requests) == 2, "all of it is in one pack"
        (server.folder / "out" / "manifest").rename(server.folder / "manifest")
        for pack in (server.folder / "out").glob("*.pack"):
            pack.write_bytes(pack.read_bytes()[: pack.stat().st_size // 2])
        (server.folder / "manifest").rename(server.folder / "out" / "manifest")
        assert join("later", server, reads=True).json("share", "pull")["taken"] == 18, "each is there by itself, too"
