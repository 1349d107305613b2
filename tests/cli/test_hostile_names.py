"""Text from a hostile certificate, server or file does not control the terminal."""

from __future__ import annotations

import pytest

from tests.cli.terminal import on_terminal
from tests.manager.machine import Machine, fingerprint
from tests.support.pki import Authority, Options, aia_value
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
