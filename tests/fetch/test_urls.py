"""Which URLs may be fetched, and which addresses be connected to, however they are spelled."""

from __future__ import annotations

import _socket
import ipaddress
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aia_store.inside import fetch

from ..conftest import whole_package
from ..manager.disks import need_namespaces
from ..support.pki import Authority
from ..support.servers import AIAHost, deaf_port
from .conftest import LOOPBACK, Fetch, Meet

ROOT = Authority.root("URL Root")
CA = ROOT.intermediate("URL CA")

# URLs


@pytest.mark.parametrize(
    "url",
    [
        "http://ca.example/a.crt",
        "HTTP://CA.EXAMPLE/a.crt",
        "http://ca.example",
        "http://ca.example?x",
        "http://ca.example:/",
        "http://ca.example:80/",
        "http://ca.example:443/",
        "http://ca.example:8080/",
        "http://ca.example:1024/",
        "http://ca.example:65535/",
        "http://8.8.8.8/",
        "http://[2606:4700::1111]:8080/",
        "http://ca.example//a//b",
        "http://ca.example/a@b:c",
        "http://ca.example/%00%0d%0a",
        "http://xn--bcher-kva.example/",
        "http://under_score.example/",
        "http://ca.example/" + "a" * (fetch.LONGEST_URL - 18),
    ],
)
def test_what_may_be_fetched(url: str) -> None:
    assert fetch.checked_url(url).hostname


NOT_FETCHED = {
    "file": "file:///etc/passwd",
    "file with a host": "file://localhost/etc/passwd",
    "ldap": "ldap://ca.example/cn=CA?cACertificate;binary",
    "ldaps": "ldaps://ca.example/",
    "ftp": "ftp://ca.example/ca.crt",
    "https": "https://ca.example/ca.crt",
    "data": "data:application/pkix-cert;base64,MIIB",
    "gopher": "gopher://ca.example:6379/_SET",
    "jar": "jar:http://ca.example/!/",
    "no scheme": "ca.example/ca.crt",
    "network path": "//ca.example/ca.crt",
    "empty": "",
    "only a scheme": "http:",
    "no slashes": "http:ca.example/",
    "one slash": "http:/ca.example/",
    "no host": "http:///ca.crt",
    "no host but a port": "http://:80/",
    "no host but a query": "http://?ca.example",
    "user": "http://me@ca.example/",
    "user and password": "http://me:secret@ca.example/",
    "an empty user": "http://@ca.example/",
    "a host that hides behind a user": "http://ca.example@127.0.0.1/",
    "a percent sign in the host": "http://ca%2eexample/",
    "a zone": "http://[fe80::1%25eth0]/",
    "a zone, raw": "http://[fe80::1%eth0]/",
    "8 KB": "http://ca.example/" + "a" * 8_192,
    "one more than the longest": "http://ca.example/" + "a" * (fetch.LONGEST_URL - 17),
    "a space": "http://ca.example/a b",
    "a space before": " http://ca.example/",
    "a space in the host": "http://ca .example/",
    "CRLF": "http://ca.example/\r\nX-Injected: yes",
    "CRLF in the host": "http://ca.example\r\n/",
    "LF": "http://ca.example/\n",
    "NUL": "http://ca.example/\0",
    "NUL in the host": "http://ca.example\0.evil.example/",
    "tab": "http://ca.example/\t",
    "DEL": "http://ca.example/\x7f",
    "beyond ASCII": "http://ca.example/\xe9",
    "beyond ASCII in the host": "http://b\xfccher.example/",
    "full-width digits": "http://\uff11\uff12\uff17.0.0.1/",
    "an ideographic full stop": "http://127\u30020\u30020\u30021/",
    "a port that is none": "http://ca.example:x/",
    "a port too large": "http://ca.example:65536/",
    "a negative port": "http://ca.example:-1/",
    "a port beyond ASCII": "http://ca.example:\u0668\u0660/",
    "half a bracket": "http://[::1/",
    "the other half": "http://::1]/",
    "brackets around a name": "http://[ca.example]/",
    "empty brackets": "http://[]/",
    **{f"port {port}": f"http://ca.example:{port}/" for port in (1, 7, 21, 22, 23, 25, 53, 79, 81, 110, 143, 442, 445)},
    "port 1023": "http://ca.example:1023/",
}


@pytest.mark.parametrize("url", NOT_FETCHED.values(), ids=NOT_FETCHED)
def test_what_may_not_be_fetched(url: str) -> None:
    with pytest.raises(fetch.FetchError) as raised:
        fetch.checked_url(url)
    assert str(raised.value).isprintable()
    with pytest.raises(fetch.FetchError):
        fetch.get(url, ["0.0.0.0/0", "::/0"], time.monotonic() + 1)


# Redis listens above 1023, where CAs may too; what protects it is that it is not at a public address.
@pytest.mark.parametrize("url", ["http://127.0.0.1:6379/", "http://10.0.0.1:11211/"])
def test_a_service_on_a_high_port_is_out_of_reach_by_its_address(url: str) -> None:
    with pytest.raises(fetch.FetchError, match="no public address"):
        fetch.get(url, [], time.monotonic() + 1)


def test_port_zero_is_not_connected_to(get: Fetch) -> None:
    with pytest.raises(fetch.FetchError):
        get("http://127.0.0.1:0/")


# Addresses

PUBLIC = ["8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.0", "172.32.0.1", "2606:4700::1111", "2a00::1"]
NOT_PUBLIC = {
    "loopback": ["127.0.0.1", "127.255.255.255", "::1"],
    "this host": ["0.0.0.0", "0.1.2.3", "::"],
    "private": ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "fc00::1", "fd00:ec2::254"],
    "link-local": ["169.254.0.1", "fe80::1", "fe80::1%eth0", "fe80::1%1", "febf::1"],
    "metadata": ["169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "fd00:ec2::254"],
    "carrier-grade": ["100.64.0.0", "100.64.0.1", "100.127.255.255"],
    "multicast": ["224.0.0.1", "239.255.255.250", "ff02::1", "ff0e::1"],
    "reserved": ["240.0.0.1", "255.255.255.255", "4000::1", "5f00::1", "8000::1"],
    "documentation": ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1"],
    "benchmarking": ["198.18.0.1", "198.19.255.255", "2001:2::1"],
    "protocol assignments": ["192.0.0.1", "192.0.0.8", "192.0.0.170"],
    "site-local": ["fec0::1", "feff::1"],
    "discard": ["100::1"],
    "ORCHID": ["2001:10::1"],
    "mapped": ["::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:7f00:1", "::ffff:0:0"],
    "compatible": ["::127.0.0.1", "::10.0.0.1", "::7f00:1"],
    "translated": ["::ffff:0:127.0.0.1"],
    "6to4": ["2002:7f00:1::", "2002:7f00:0001::1", "2002:a00:1::1", "2002:a9fe:a9fe::", "2002:6440:1::"],
    "Teredo to loopback": [
        str(ipaddress.IPv6Address((0x20010000 << 96) | (0x08080808 << 64) | (0x7F000001 ^ 0xFFFFFFFF)))
    ],
    "Teredo to private": [
        str(ipaddress.IPv6Address((0x20010000 << 96) | (0x08080808 << 64) | (0x0A000001 ^ 0xFFFFFFFF)))
    ],
    "NAT64": ["64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b::100.64.0.1"],
    "NAT64 of one's own": ["64:ff9b:1::127.0.0.1", "64:ff9b:1::8.8.8.8"],
}


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_allowed(address: str) -> None:
    assert fetch.is_allowed(address, [])


@pytest.mark.parametrize(
    "address", ["::ffff:8.8.8.8", "2002:808:808::1", "64:ff9b::8.8.8.8"], ids=["mapped", "6to4", "NAT64"]
)
def test_a_public_address_within_another_is_allowed(address: str) -> None:
    assert fetch.is_allowed(address, [])


@pytest.mark.parametrize("address", [address for group in NOT_PUBLIC.values() for address in group], ids=str)
def test_any_other_address_is_not(address: str) -> None:
    assert not fetch.is_allowed(address, [])


def test_no_address_of_a_private_network_is_allowed_within_another() -> None:
    numbers = random.Random(1)
    for network in map(
        ipaddress.IPv4Network,
        (
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "224.0.0.0/3",
        ),
    ):
        for _ in range(100):
            inner = int(network.network_address) + numbers.randrange(network.num_addresses)
            for outer in (inner, 0xFFFF << 32 | inner, 0x2002 << 112 | inner << 80, 0x64FF9B << 96 | inner):
                version = ipaddress.IPv4Address if outer < 1 << 32 else ipaddress.IPv6Address
                assert not fetch.is_allowed(str(version(outer)), [])


@pytest.mark.parametrize(
    ("address", "networks", "allowed"),
    [
        ("10.1.2.3", ["10.0.0.0/8"], True),
        ("11.1.2.3", ["10.0.0.0/8"], True),
        ("172.16.0.1", ["10.0.0.0/8"], False),
        ("10.1.2.3", ["10.1.2.3"], True),
        ("10.1.2.4", ["10.1.2.3"], False),
        ("fd00::1", ["10.0.0.0/8", "fd00::/8"], True),
        ("fd00::1", ["10.0.0.0/8"], False),
        ("::ffff:10.1.2.3", ["10.0.0.0/8"], True),
        ("::ffff:192.168.0.1", ["10.0.0.0/8"], False),
        ("64:ff9b::10.1.2.3", ["10.0.0.0/8"], True),
        ("2002:a01:203::1", ["10.0.0.0/8"], True),
        ("127.0.0.1", ["::/0"], False),
        ("::1", ["0.0.0.0/0"], False),
        ("127.0.0.1", [], False),
        ("169.254.169.254", ["10.0.0.0/8"], False),
    ],
)
def test_networks_that_the_user_allows(address: str, networks: list[str], allowed: bool) -> None:
    assert fetch.is_allowed(address, networks) is allowed


# With the resolver of this machine

LOOPBACK_SPELLED = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.000.000.001",
    "0177.0.0.1",
    "0177.0.0.01",
    "017700000001",
    "0x7f.0.0.1",
    "0x7f.1",
    "0x7f000001",
    "0X7F000001",
    "0x7f.0x0.0x0.0x1",
    "2130706433",
    "4294967295",
    "127.0.0.1.",
    "0",
    "0.0.0.0",
    "0x0",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "localhost.localdomain",
    "ip6-localhost",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000:0000:0000:0000:0000:0000:0000:0001]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::FFFF:7F00:0001]",
    "[::]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "127.0.0.1%00",
    "127%2e0%2e0%2e1",
    "loopback.invalid",
]


@pytest.mark.parametrize("host", LOOPBACK_SPELLED)
def test_loopback_is_out_of_reach_however_it_is_spelled(aia: AIAHost, host: str) -> None:
    aia.publish("/", CA.der)
    with pytest.raises(fetch.FetchError, match=r"no public address|no address|plain host|cannot be read"):
        fetch.get(f"http://{host}:{aia.port}/", [], time.monotonic() + 2)
    assert aia.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "localhost"])
def test_an_allowed_network_is_reached_however_it_is_spelled(aia: AIAHost, get: Fetch, host: str) -> None:
    aia.publish("/", CA.der)
    assert get(f"http://{host}:{aia.port}/") == CA.der


# With a resolver whose answers the test sets


class Resolver:
    """Answers every name with the next of these lists of addresses, the last one for ever."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
        self.asked: list[str] = []
        self._answers = [*answers]
        monkeypatch.setattr(_socket, "getaddrinfo", self._answer)

    def _answer(self, host: bytes, port: int, *_: Any) -> list[Any]:
        self.asked.append(host.decode())
        addresses = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
            if ":" in address
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in addresses
        ]


@pytest.mark.parametrize(
    "order", [["127.0.0.2", "127.0.0.1"], ["127.0.0.1", "127.0.0.2"], ["::1", "127.0.0.2", "127.0.0.1"]]
)
def test_of_a_name_with_allowed_and_other_addresses_only_the_allowed_ones_are_connected_to(
    aia: AIAHost, monkeypatch: pytest.MonkeyPatch, order: list[str]
) -> None:
    """Here, 127.0.0.1 stands for a public address, and the others for private ones."""
    aia.publish("/", CA.der)
    Resolver(monkeypatch, order)
    with socket.create_server(("127.0.0.2", aia.port)) as inner:
        inner.settimeout(0.1)
        url = f"http://mixed.example:{aia.port}/"
        assert fetch.get(url, ["127.0.0.1/32"], time.monotonic() + 1) == CA.der
        with pytest.raises(socket.timeout):
            inner.accept()


def test_a_name_that_resolves_differently_the_second_time_is_resolved_once(
    aia: AIAHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    aia.publish("/", CA.der)
    resolver = Resolver(monkeypatch, ["127.0.0.1"], ["127.0.0.2"])
    with socket.create_server(("127.0.0.2", aia.port)) as inner:
        inner.settimeout(0.1)
        url = f"http://rebinding.example:{aia.port}/"
        assert fetch.get(url, ["127.0.0.1/32"], time.monotonic() + 1) == CA.der
        with pytest.raises(socket.timeout):
            inner.accept()
    assert resolver.asked == ["rebinding.example"]


def test_after_a_redirect_the_address_is_checked_again(aia: AIAHost, monkeypatch: pytest.MonkeyPatch) -> None:
    url = aia.redirect("/from", "/to").replace("127.0.0.1", "rebinding.example")
    Resolver(monkeypatch, ["127.0.0.1"], ["127.0.0.2"])
    with pytest.raises(fetch.FetchError, match="no public address"):
        fetch.get(url, ["127.0.0.1/32"], time.monotonic() + 1)


def test_a_dead_address_leaves_time_for_the_next(monkeypatch: pytest.MonkeyPatch, aia: AIAHost) -> None:
    """An address where nobody answers must not use up the whole deadline."""
    aia.publish("/", CA.der)
    with deaf_port("127.0.0.3", aia.port):
        Resolver(monkeypatch, ["127.0.0.3", "127.0.0.1"])
        started = time.monotonic()
        assert fetch.get(f"http://two.example:{aia.port}/", LOOPBACK, started + 1) == CA.der
    assert 0.3 < time.monotonic() - started < 0.9


def test_a_name_without_an_address_is_a_fetch_error(monkeypatch: pytest.MonkeyPatch, get: Fetch) -> None:
    Resolver(monkeypatch, [])
    with pytest.raises(fetch.FetchError, match="address"):
        get("http://nothing.example/")


# Whole handshakes


def test_a_handshake_reaches_nothing_that_was_not_allowed(
    aia: AIAHost, meet: Meet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIA_STORE_ALLOWED_NETWORKS", "10.0.0.0/8")
    url = aia.publish("/ca", CA.der)
    for spelled in (url, url.replace("127.0.0.1", "localhost"), url.replace("127.0.0.1", "2130706433")):
        assert meet(CA.leaf(aia=[spelled]), ROOT).is_left_alone()
    assert aia.connections == 0


Named = Callable[[AIAHost], str]

ODD_URLS: dict[str, Named] = {
    "file": lambda aia: "file:///etc/hostname",
    "ldap": lambda aia: "ldap://127.0.0.1/cn=CA",
    "https": lambda aia: aia.url("/ca").replace("http", "https"),
    "user and password": lambda aia: aia.url("/ca").replace("//", "//me:secret@"),
    "port 22": lambda aia: "http://127.0.0.1:22/",
    "port 6379 of a public address": lambda aia: "http://[::1]:6379/",
    "no host": lambda aia: "http:///ca",
    "8 KB": lambda aia: aia.url("/" + "a" * 8_192),
    "half a bracket": lambda aia: "http://[::1/ca",
    "only a scheme": lambda aia: "http://",
    "empty": lambda aia: "",
}


@pytest.mark.parametrize("odd", ODD_URLS.values(), ids=ODD_URLS)
@pytest.mark.parametrize("second", [False, True], ids=["no other URL", "a good second URL"])
def test_a_handshake_survives_an_odd_url(aia: AIAHost, meet: Meet, odd: Named, second: bool) -> None:
    urls = [odd(aia)] + ([aia.publish("/good", CA.der)] if second else [])
    met = meet(CA.leaf(aia=urls), ROOT)
    assert met.completed if second else met.is_left_alone()
    assert aia.count() == second
    assert met.seconds < 2


# With a name server that never answers

SILENT_RESOLVER = """
set -e
ip link set lo up
printf 'nameserver 127.0.0.1\\noptions timeout:20 attempts:2\\n' > "$1/resolv.conf"
mount --bind "$1/resolv.conf" /etc/resolv.conf
shift
exec "$@"
"""

#: Runs a piece of code, and prints how it failed, beside a socket that listens for questions and answers none.
UNANSWERED = """
import socket, time
listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
listening.bind(("127.0.0.1", 53))
started = time.monotonic()
try:
    {code}
except Exception as error:
    print(type(error).__name__, error)
print(len(listening.recv(512)) > 12, time.monotonic() - started < 10, flush=True)
import os; os._exit(0)
"""

ASKING = {
    "fetch": "from aia_store.inside import fetch; fetch.get(URL, [], time.monotonic() + 1)",
    "add": "from aia_store.library import learn; learn.FETCH_SECONDS = 1; learn.from_source(URL, load(), print)",
    "fetch_issuer": "from aia_store.library import building; building.fetch_issuer(LEAF, timeout=1)",
    "manager": "from aia_store.manager.download import Downloader; Downloader(Settings(), "
    "Failures(None), time.monotonic() + 1).plain(URL, 1000)",
    "manager, https": "from aia_store.manager import https; https.get(URL.replace('http', 'https'), Settings(), "
    "time.monotonic() + 1, 1000)",
}


@pytest.mark.parametrize(
    "code", [pytest.param(code, id=who, marks=() if who == "fetch" else whole_package) for who, code in ASKING.items()]
)
def test_a_resolver_that_never_answers_delays_nobody_beyond_the_deadline(tmp_path: Path, code: str) -> None:
    need_namespaces("unshare", "--net", "--mount")
    (tmp_path / "root.pem").write_text(ROOT.pem)
    before = (
        "from aia_store.inside.pauses import Failures; from aia_store.inside.settings import Settings, load\n"
        "import time; "
        f"URL = 'http://ca.example/ca.cer'; LEAF = bytes.fromhex('{CA.leaf(aia=['http://ca.example/']).der.hex()}')\n"
    )
    command = ["unshare", "--net", "--mount", "sh", "-c", SILENT_RESOLVER, "sh", tmp_path]
    done = subprocess.run(
        [*command, sys.executable, "-c", before + UNANSWERED.format(code=code)],
        env={**os.environ, "AIA_STORE_ROOTS": str(tmp_path / "root.pem")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "timed out" in done.stdout, done
    assert done.stdout.endswith("True True\n"), done
