"""Text from a hostile certificate, server or file does not control the terminal."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import quote

import pytest
from cryptography import x509

from tests.cli.check.test_metrics import samples
from tests.cli.terminal import on_terminal
from tests.manager.machine import Machine, fingerprint
from tests.support.pki import Authority, Options, aia_value, pem
from tests.support.servers import TLSServer

HOSTILE = "\x1b]0;t\x07\x1b[31mr\x9b32m[bold red]x[/bold red]\u202ea\u2066\r\n\b\0:smile:"
FORBIDDEN = "\x1b\x07\x9b\u202e\u2066\b\0\r"


def is_harmless(text: str) -> None:
    """No control character of the hostile name is left, and its harmless characters are shown."""
    assert not set(FORBIDDEN) & set(text), text
    assert "[bold red]x[/bold red]" in text
    assert ":smile:" in text


@pytest.fixture
def authority(machine: Machine, root: Authority) -> Authority:
    """An intermediate with a hostile name, which the machine's trust anchor certified."""
    return root.intermediate(HOSTILE)


def test_in_check(machine: Machine, authority: Authority) -> None:
    named: Options = {"subject": HOSTILE, "san": ["localhost"]}
    with TLSServer(authority.leaf(**named), [authority]) as server:
        is_harmless(machine.says("check", f"localhost:{server.port}"))
        found = machine.run("check", "--json", f"localhost:{server.port}").stdout
        is_harmless(found)
    with TLSServer(authority.leaf(**named)) as server:
        is_harmless(machine.says("check", f"localhost:{server.port}", status=1))


def test_in_the_store(machine: Machine, authority: Authority) -> None:
    file = machine.folder / "hostile.pem"
    file.write_text(authority.pem)
    is_harmless(machine.says("add", file))
    for command in (["list"], ["list", "--json"], ["show", fingerprint(authority)], ["add", "--json", str(file)]):
        is_harmless(machine.says(*command))
    machine.trust(Authority.root("Another Root"))
    is_harmless(machine.says("refresh"))
    is_harmless(machine.says("add", file, status=1))


def test_on_a_terminal(machine: Machine, authority: Authority) -> None:
    """On a terminal, rich writes colours: nothing else may control it."""
    machine.plant(authority)
    with TLSServer(authority.leaf(subject=HOSTILE, san=["localhost"]), [authority]) as server:
        for command in (["list"], ["show", fingerprint(authority)], ["check", f"localhost:{server.port}"]):
            status, shown = on_terminal(machine, *command, columns=200)
            assert status == 0, shown
            for trace in ("\x1b]0", "\x07", "\x1b[31mr", "\x9b", "\u202e", "\u2066", "\0"):
                assert trace not in shown
            assert "[bold red]x[/bold red]" in shown


def test_in_the_urls_of_a_certificate(machine: Machine, root: Authority) -> None:
    url = "http://127.0.0.1:1/\x1b[31m\x9b32m[bold red]x[/bold red]:smile:\r\n"
    intermediate = root.intermediate("Not Sent")
    with TLSServer(intermediate.leaf(aia_raw=aia_value(url.encode("latin-1")))) as server:
        for options in (["--json"], []):
            shown = machine.says("check", f"localhost:{server.port}", *options, status=1)
            assert not set(FORBIDDEN) & set(shown)


def test_in_a_certificate_of_the_store(machine: Machine, root: Authority) -> None:
    url = "http://h/\x1b[31m\x9b32m[bold red]x[/bold red]:smile:\r\n"
    certificate = root.intermediate(aia_raw=aia_value(url.encode("latin-1")))
    machine.plant(certificate)
    is_harmless(machine.says("show", fingerprint(certificate)))
    is_harmless(machine.says("show", "--json", fingerprint(certificate)))


def test_in_what_the_user_wrote(machine: Machine, root: Authority) -> None:
    done = machine.run("add", "no\x1b[31m\x9b32m\u202efile.pem")
    assert done.returncode == 1
    assert not set(FORBIDDEN) & set(done.stderr)


def test_a_long_name_does_not_drown_the_rest(machine: Machine, root: Authority) -> None:
    long = root.intermediate("x" * 60)
    machine.plant(long)
    _, shown = on_terminal(machine, "list", columns=80)
    assert fingerprint(long)[:16] in shown
    assert all(len(line) <= 80 for line in shown.replace("\x1b[1m", "").replace("\x1b[0m", "").splitlines())


@pytest.mark.filterwarnings("ignore:Attribute's length")
def test_a_name_of_many_kilobytes_does_not_drown_the_verdict(machine: Machine, root: Authority) -> None:
    """Names and URLs are cut wherever people read them; the JSON document has them whole."""
    long = "n" * 9_000
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, long, _validate=False)])
    url = f"http://127.0.0.1:1/{long}"
    unknown = Authority.root("Unknown").intermediate(name)
    for leaf, sends in (
        (unknown.leaf(subject=name, san=["localhost"], aia=[url]), [unknown]),
        (root.leaf(subject=name, san=[f"{long}.test"] * 2, not_after=timedelta(days=3)), []),
    ):
        with TLSServer(leaf, sends) as server:
            host = f"localhost:{server.port}"
            shown, page = (machine.says("check", host, *form, status=1) for form in ([], ["--html", "-"]))
            (found,) = machine.json("check", host, status=1)
        assert max(map(len, shown.splitlines())) < 1_000
        assert f"{'n' * 50}…" not in found["sent"][0]["subject"]
        assert long in found["sent"][0]["subject"]
        assert len(page.replace(quote(pem(leaf), safe="+/=\n"), "")) < 100_000
        assert len(found["verdict"]) < 1_000


def test_metrics_on_a_terminal(machine: Machine, root: Authority) -> None:
    """A file's name may hold what controls a terminal, or is no Unicode; two names stay two labels."""
    folder = machine.folder / "live"
    for name in ("\x1b[31m\u202e", "\x1b[32m\u202e", "\udcff"):
        (folder / name).mkdir(parents=True)
        (folder / name / "leaf.pem").write_text(pem(root.leaf()))
    file = machine.folder / "check.prom"
    shown = machine.says("check", folder, "--prometheus", "-")
    machine.says("check", folder, "--prometheus", file, "--quiet")
    for text in (shown, file.read_text(encoding="utf-8")):
        assert not set(FORBIDDEN) & set(text)
        assert len(samples(text)["aia_store_check_complete"]) == 3
