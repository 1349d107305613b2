"""The HTML report in a real browser: it draws the chain, fits a phone, loads nothing and runs nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from aia_store.cli.check.html_overview import MOST_DRAWN
from tests.cli.check.browser import Browser, browser
from tests.cli.check.fleet import Fleet
from tests.conftest import MakeHierarchy
from tests.manager.machine import Machine
from tests.support.pki import Authority, Options, der_of, pem, pem_blocks
from tests.support.servers import TLSServer

HOSTILE = "</script><img src=x onerror=\"document.title='taken'\">&amp;<b>"
WIDTHS = {"desktop": 1280, "phone": 360}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as session:
        yield session


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report about one host of each kind, one with a hostile name and one with long words."""
    machine = Machine(tmp_path_factory.mktemp("page") / "machine")
    root = Authority.root()
    machine.trust(root)
    upper = root.intermediate("Upper CA")
    lower = upper.intermediate("Lower CA")
    machine.plant(lower, upper)
    leaf = lower.leaf()
    hostile: Options = {
        "subject": HOSTILE,
        "san": ["localhost", HOSTILE, f"{'long' * 15}.{'name' * 15}.example.test"],
        "crl": [f"http://127.0.0.1:1/{HOSTILE}"],
        "aia": [f"http://127.0.0.1:1/{HOSTILE}", f"javascript:{HOSTILE}"],
        "policies": ["2.23.140.1.2.1"],
    }
    file = machine.folder / "report.html"
    with Fleet() as fleet:
        hosts = [
            *fleet.tls(1, leaf, [lower, upper]),
            *fleet.tls(1, leaf, [Authority.root(HOSTILE)]),
            *fleet.tls(1, lower.leaf(**hostile), [lower]),
            *fleet.tls(1, lower.leaf(not_after=timedelta(days=-3)), [lower, upper]),
            *fleet.tls(1, Authority.root("Strange Root").leaf(**hostile)),
            *fleet.plain(1),
            HOSTILE,
        ]
        assert machine.run("check", *hosts, "--html", file, "--details").returncode == 1
    return file


def test_it_is_one_file(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "<script" not in text
    assert not re.search(r"<[a-z][^<>]*\b(src|href|on\w+)=(?!\"?(#|data:))", text), "nothing leads out of it"
    assert "@import" not in text
    assert "url(" not in text
    assert "default-src 'none'" in text


def test_the_worst_comes_first_and_hosts_with_one_cause_together(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "machine")
    root = Authority.root()
    machine.trust(root)
    one, other = root.intermediate("One CA"), root.intermediate("Other CA")
    machine.plant(one, other)
    with Fleet() as fleet:
        right = fleet.tls(1, one.leaf(), [one])
        ending = fleet.tls(1, one.leaf(not_after=timedelta(days=3)), [one])
        first, late, others = fleet.tls(9, one.leaf()), fleet.tls(2, other.leaf(), [root]), fleet.tls(1, other.leaf())
        expired = fleet.tls(1, one.leaf(not_after=timedelta(days=-3)), [one])
        hosts = [*right, *ending, *first, *late, *expired, *others]
        shown = machine.run("check", *hosts, "--html", "-").stdout
    assert re.findall(r'<span class="(\S+)">(\d+) ', shown) == [
        ("complete", "1"),
        ("ending", "1"),
        ("incomplete", "12"),
        ("broken", "1"),
    ]
    rows = re.findall(r"<tr class=.*?><td>(.*?)<td>(.*)", shown)
    assert [cause for cause, _ in rows] == [
        "1 host has a certificate that has expired",
        "9 hosts lack One CA",
        "3 hosts lack Other CA",
        "1 host is complete, but not for long",
        "1 host is complete",
    ]
    assert rows[1][1].endswith("and 3 more</a>")
    sections = re.findall(r"<section id=.*\n<h2><span class=name>(.*?)</span>", shown)
    assert sections == [*expired, *first, *late, *others, *ending, *right]
    anchors = dict(zip(re.findall(r'<section id="(.*?)"', shown), sections, strict=True))
    for anchor, host in re.findall(r'<a href="#(.*?)">(localhost.*?)</a>', shown):
        assert anchors[anchor] == host, "links lead where they say"


def test_the_overview_fits_a_screen(machine: Machine, tmp_path: Path, chromium: Browser) -> None:
    """However many causes there are: the most frequent are shown, and the rest is folded."""
    root = Authority.root()
    machine.trust(root)
    folder, page = machine.folder / "live", tmp_path / "page.html"
    folder.mkdir()
    for cause in range(15):
        ca = root.intermediate(f"CA {cause}")
        machine.plant(ca)
        for each in range(8 if cause == 3 else 1):
            (folder / f"{cause}-{each}.pem").write_text(pem(ca.leaf()))
    machine.run("check", "live/", "--html", page)
    chromium.open(page, 1280)
    assert chromium.run("return document.querySelector('.overview').getBoundingClientRect().bottom") < 900
    assert chromium.run("return document.querySelector('.overview td').innerText") == "8 files lack CA 3"
    assert chromium.run("return document.querySelectorAll('.overview tr').length") == 15
    assert chromium.run("return document.querySelector('.overview + details summary').innerText") == "3 more causes"


def test_of_very_many_hosts_some_of_each_cause_are_drawn(machine: Machine, root: Authority, tmp_path: Path) -> None:
    """A page with ten thousand chains is too large for a browser. The others are named, and every link leads on."""
    one, other = root.intermediate("One CA"), root.intermediate("Other CA")
    machine.plant(one, other)
    first, leaf, count = one.leaf(), other.leaf(), MOST_DRAWN + 20
    for number in range(count):
        folder = machine.folder / "live" / f"{number:04}"
        folder.mkdir(parents=True)
        (folder / "leaf.pem").write_text(pem(first if not number else leaf))
    shown = machine.run("check", "live/", "--html", "-").stdout
    assert shown.count('<section id="host-') == MOST_DRAWN
    assert set(re.findall(r'href="#(.*?)"', shown)) <= set(re.findall(r'id="(.*?)"', shown))
    assert "<summary>20 more files lack Other CA</summary>" in shown
    rest = shown.partition("more files lack Other CA")[2]
    assert all(f"live/{number:04}/leaf.pem" in rest for number in range(count - 20, count))
    assert "1 file lacks One CA" in shown


def test_what_to_install_is_taken_from_the_page(
    machine: Machine, hierarchy: MakeHierarchy, tmp_path: Path, chromium: Browser
) -> None:
    """Without a server, a button or a script; and the lines for each server name that file."""
    pki = hierarchy({}, {})
    machine.trust(pki.root)
    file, folder = tmp_path / "page.html", tmp_path / "saved"
    folder.mkdir()
    with Fleet() as fleet:
        machine.run("check", *fleet.tls(1, pki.leaf), "--html", file)
    chromium.open(file, 1280)
    lead = chromium.run("return document.querySelector('section > :nth-child(2)').innerText")
    assert "does not send Test Intermediate 0 and Test Intermediate 1, which lead from its certificate to" in lead
    assert "Python, curl, git, Ruby, PHP, Node, wget, Java and Go are turned away, while Chrome, Edge, Safari" in lead
    order = chromium.run("return [...document.querySelector('section').children].map(one => one.className)")
    assert order[:4] == ["", "lead", "install", "chain"]
    saved = chromium.save(".install .file", folder)
    assert saved.name == "localhost.pem"
    assert pem_blocks(saved.read_text(encoding="ascii")) == [der_of(link) for link in (pki.leaf, *pki.intermediates)]
    assert chromium.complaints() == []
    kinds = chromium.run("return [...document.querySelectorAll('.install dt')].map(one => one.textContent)")
    assert kinds == ["nginx", "Apache", "HAProxy", "Caddy", "Postfix", "IIS"]
    lines = chromium.run("return [...document.querySelectorAll('.install dd')].map(one => one.textContent)")
    assert all("/etc/ssl/localhost.pem" in one for one in lines[:-1])


def test_a_root_that_is_not_trusted_is_called_a_root(machine: Machine, root: Authority, tmp_path: Path) -> None:
    stranger = Authority.root("Strange Root")
    with TLSServer(stranger.leaf(), [stranger]) as server:
        machine.run("check", f"localhost:{server.port}", "--html", tmp_path / "page.html")
    assert "<small>Root</small><b>Strange Root</b>" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_details_are_folded_under_each_link(page: Path, chromium: Browser) -> None:
    chromium.open(page, 1280)
    assert chromium.run(
        "return [...document.querySelectorAll('.chain li:not(.missing:last-child)')].every(one => one.querySelector("
        "'details:not([open]) dl'))"
    )


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS.keys())
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_is_drawn(page: Path, chromium: Browser, width: int, dark: bool) -> None:
    chromium.open(page, width, dark=dark)
    assert chromium.complaints() == []
    assert chromium.run("return document.title").startswith("7 hosts: 1 complete, 2 incomplete, 2 broken, 2 could not")
    assert chromium.run("return document.documentElement.scrollWidth <= window.innerWidth"), "no scrolling sideways"
    chains = "return [...document.querySelectorAll('.chain')].map(one => [...one.children].map(link => link.className))"
    drawn = chromium.run(chains)
    assert [chain for chain in drawn if chain[-1] == "anchor"] == [
        ["bad", "sent", "sent", "anchor"],
        ["sent", "missing", "missing", "anchor"],
        ["sent", "sent", "missing", "anchor"],
        ["sent", "sent", "sent", "anchor"],
    ], "the worst first"
    places = chromium.run(
        "return [...document.querySelector('.chain').children].map(link => link.getBoundingClientRect())"
        ".map(box => [box.left, box.top])"
    )
    across, down = (len({place[axis] for place in places}) for axis in (0, 1))
    assert (across, down) == ((1, 4) if width < 600 else (4, 1)), "beside one another, or on a phone below"
    paper = chromium.run("return getComputedStyle(document.documentElement).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", paper))) < 384) is dark


def test_a_long_chain_is_drawn_from_top_to_bottom(machine: Machine, tmp_path: Path, chromium: Browser) -> None:
    """Or its boxes are too narrow for the names of CAs."""
    root = Authority.root()
    machine.trust(root)
    cas = [root.intermediate("Server CA 0")]
    for number in range(1, 5):
        cas.append(cas[-1].intermediate(f"Server CA {number}"))
    file = tmp_path / "page.html"
    with TLSServer(cas[-1].leaf(), cas[::-1]) as server:
        machine.run("check", f"localhost:{server.port}", "--html", file)
    chromium.open(file, 1280)
    boxes = "[...document.querySelectorAll('.chain li')].map(one => one.getBoundingClientRect())"
    assert chromium.run(f"return {boxes}.map(box => box.left)[5]") == chromium.run(f"return {boxes}[0].left")
    assert chromium.run(f"return Math.min(...{boxes}.map(box => box.width))") > 800


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS.keys())
def test_dates_and_commands_are_whole(page: Path, chromium: Browser, width: int) -> None:
    """A date stands on one line; a command that is longer than a line is broken, not cut."""
    chromium.open(page, width)
    assert chromium.run("return [...document.querySelectorAll('time')].map(one => one.getClientRects().length)").count(
        1
    ) == chromium.run("return document.querySelectorAll('time').length")
    cut = (
        "return [...document.querySelectorAll('.verdict code')].filter(one => one.scrollWidth > one.clientWidth).length"
    )
    assert chromium.run(cut) == 0


def test_what_others_said_is_text(page: Path, chromium: Browser) -> None:
    chromium.open(page, 1280)
    assert HOSTILE in chromium.run("return document.body.innerText")
    assert chromium.run("return document.querySelectorAll('img, script, b b').length") == 0
    assert "taken" not in chromium.run("return document.title")


def test_its_colours_can_be_read(page: Path, chromium: Browser) -> None:
    """WCAG 2, 1.4.3: a contrast of 4.5 for every text, in the light and in the dark scheme."""
    for dark in (False, True):
        chromium.open(page, 1280, dark=dark)
        faint = chromium.run(_FAINT)
        assert faint == [], f"dark: {dark}"


_FAINT = """
const light = text => {
  const parts = text.match(/[\\d.]+/g).slice(0, 3).map(part => part / 255)
    .map(part => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
};
const paper = element => {
  for (; element; element = element.parentElement) {
    const colour = getComputedStyle(element).backgroundColor;
    if (colour != "rgba(0, 0, 0, 0)") return colour;
  }
};
const faint = [];
for (const element of document.querySelectorAll("body *")) {
  if (![...element.childNodes].some(node => node.nodeType == 3 && node.data.trim())) continue;
  const [one, two] = [getComputedStyle(element).color, paper(element)].map(light).sort((a, b) => b - a);
  if ((one + 0.05) / (two + 0.05) < 4.5) faint.push(element.outerHTML.slice(0, 80));
}
return faint;
"""
