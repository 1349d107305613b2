"""Each kind of object store is a shelf: three verbs, and the ordinary variables for its credentials and endpoint."""

from __future__ import annotations

from pathlib import Path

import pytest

from aia_store.inside import settings as config
from aia_store.manager.share.opening import open_shelf
from aia_store.manager.share.shelf import AbsentError, ShelfError, UnfitFileError
from tests.manager.machine import fingerprint
from tests.manager.share.conftest import Join
from tests.manager.share.engines import GCS, S3, Azure, Engine
from tests.manager.share.test_fleet import preloaded
from tests.support.pki import Authority
from tests.support.servers import TLSServer, free_port


@pytest.mark.parametrize("kind", [S3, GCS, Azure])
def test_what_is_put_there_is_listed_and_read(
    kind: type[Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with kind(tmp_path / "engine") as engine:
        for name, value in {**engine.environment, "AIA_STORE_SHARE": engine.url}.items():
            monkeypatch.setenv(name, value)
        shelf = open_shelf(config.load())
        assert shelf.names("in", 100) == []
        shelf.put("in/one", b"one")
        shelf.put("in/two", b"other")
        shelf.put("in/two", b"two")
        shelf.put("out/three", b"three")
        assert sorted(shelf.names("in", 100)) == ["one", "two"]
        found = shelf.get("in/two", 3)
        assert found is not None
        assert (found.content, shelf.get("in/two", 3, found.mark)) == (b"two", None)
        with pytest.raises(UnfitFileError):
            shelf.get("out/three", 4)
        with pytest.raises(AbsentError):
            shelf.get("in/three", 100)
        monkeypatch.setenv("AIA_STORE_SHARE", engine.url.replace("://", "://not-"))
        with pytest.raises(ShelfError, match=r"404 Not Found: (NoSuchBucket|ContainerNotFound)"):
            open_shelf(config.load()).get("in/one", 100)


def test_why_a_connection_failed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Obstore says so only in its notes for programmers."""
    variables = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AIA_STORE_SHARE": "s3://bucket"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with TLSServer(Authority.root().leaf()) as server:
        for endpoint, why in {
            f"http://127.0.0.1:{free_port()}": "Connection refused",
            f"https://localhost:{server.port}": "UnknownIssuer",
            "http://nowhere.invalid": "failed to lookup address information",
        }.items():
            monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
            with pytest.raises(ShelfError, match=f"error sending request: {why}"):
                open_shelf(config.load()).get("out/manifest", 100)


@pytest.mark.parametrize("kind", [GCS, Azure])
def test_machines_share_over_it(kind: type[Engine], tmp_path: Path, join: Join, public: Authority) -> None:
    with kind(tmp_path / "engine") as engine:
        first, hub, machine = (join(name, engine) for name in ("first", "hub", "machine"))
        issuer = public.intermediate()
        first.plant(issuer)
        assert first.json("refresh")["shared"]["handed_in"] == 1
        assert hub.json("share", "publish")["published"] == {"total": 1, "new": 1, "repaired": 0}
        assert machine.json("share", "pull")["taken"] == 1
        assert preloaded(machine) == {fingerprint(issuer)}
