"""What must not leave: passwords in URLs, and what a company's CA issued."""

from __future__ import annotations

import os

import pytest

from aia_store.inside import settings as config
from aia_store.inside.store import open_store
from aia_store.manager.share import rounds, summary
from aia_store.manager.share import stream as streams
from aia_store.manager.share.shelf import without_secrets
from tests.manager.share.conftest import Join
from tests.manager.share.engines import Engine, Valkey
from tests.support.pki import Authority, pem

#: What may be wrong with a URL, where SECRET is (or was meant to be) a part of its password.
URLS = [
    "valkey://user:SECRET@127.0.0.1:1",
    "valkey://:SECRET/more@127.0.0.1:1",
    "valkey://:SECRET@more@127.0.0.1:1",
    "valkey://:more@SECRET@127.0.0.1:1",
    "valkey://:SECRET#more@127.0.0.1:1",
    "valkey://:more#SECRET@127.0.0.1:1",
    "valkey://:SECRET?more@127.0.0.1:1",
    "valkey://:more/SECRET@127.0.0.1:1",
    "valkey://user:SECRET",
    "valkey:/user:SECRET@127.0.0.1",
    "valkey://127.0.0.1:1?password=SECRET",
    "valkey://127.0.0.1:1?password=SECRET@more",
    "https://user:SECRET/more@127.0.0.1:1/shelf",
    "https://user:more/SECRET@127.0.0.1:1/shelf",
    "https://127.0.0.1:1/shelf?token=SECRET",
    "s3://key:SECRET@bucket/prefix",
    "s3://key:SECRET/more@bucket/prefix",
    "s3://key:more/SECRET@bucket/prefix",
    "s3://SECRET:@bucket/prefix",
]


@pytest.mark.parametrize("url", URLS)
def test_no_part_of_a_password_is_said_or_noted(
    url: str, join: Join, shelf: Engine, public: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = join("machine", shelf)
    machine.plant(public.intermediate())
    machine.environment["AIA_STORE_SHARE_NOTIFY" if url.startswith("valkey") else "AIA_STORE_SHARE"] = url
    machine.environment["AIA_STORE_SHARE_PRIVATE"] = "1"  # this process has certifi's roots
    machine.environment |= {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    machine.environment["AWS_ENDPOINT_URL"] = "http://127.0.0.1:1"
    machine.enter(monkeypatch)
    settings = config.load()
    try:
        said = rounds.run(settings).message
    except rounds.ShareError as error:
        said = str(error)
    assert "cannot be" in said or "is no URL of a" in said
    assert "SECRET" not in f"{said} {summary.of(settings, open_store(settings))}"
    noted = [file.read_bytes() for file in machine.store.rglob("*") if file.is_file()]
    assert b"SECRET" not in b"".join(noted)


def test_what_can_be_told_of_a_url_is() -> None:
    assert without_secrets("valkeys://user:password@stream.example.org:6379/0?x=1") == (
        "valkeys://stream.example.org:6379/0"
    )
    assert without_secrets("unix:///run/valkey.sock?db=1") == "unix:///run/valkey.sock"
    assert without_secrets("https://[2001:db8::1]:8443/shelf") == "https://[2001:db8::1]:8443/shelf"
    assert without_secrets("file:///srv/shelf@home") == "file:///srv/shelf@home"
    assert without_secrets("s3://bucket/prefix@home") == "s3://bucket/prefix@home"
    assert without_secrets("s3://bucket/a:b@home") == "s3://bucket/a:b@home"
    assert without_secrets("abfs://container@account.dfs.core.windows.net/prefix") == (
        "abfs://container@account.dfs.core.windows.net/prefix"
    )


def test_nothing_of_a_private_ca_leaves_by_the_stream(join: Join, shelf: Engine, public: Authority) -> None:
    company = Authority.root("Company Root")
    private, common = company.intermediate("Company Intermediate"), public.intermediate("Public Intermediate")
    machine = join("machine", shelf, company)
    machine.plant(private, common)
    with Valkey(shelf.folder.parent / "valkey") as server:
        assert machine.json("refresh", AIA_STORE_SHARE_NOTIFY=server.url)["shared"]["notes"] == []
        with streams.Stream(server.url) as stream:
            assert [entry.der for entry in stream.read(streams.START, os.pipe()[0], 0.1) or ()] == [common.der]


def test_a_company_root_that_somebody_added_to_certifi_is_not_public(
    join: Join, shelf: Engine, public: Authority
) -> None:
    """Many an administrator does so, for programs that know no other CA file."""
    company = Authority.root("Company Root")
    machine = join("machine", shelf, company)
    machine.plant(company.intermediate("Company Intermediate"))
    with (shelf.folder.parent / "site" / "certifi" / "cacert.pem").open("a") as file:
        file.write(pem(company))
    assert machine.json("refresh")["shared"]["handed_in"] == 0
    assert machine.json("share", "publish")["published"]["total"] == 0
    assert b"Company" not in b"".join(path.read_bytes() for path in shelf.folder.rglob("*") if path.is_file())
