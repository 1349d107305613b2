"""What the system distrusts, according to p11-kit: no root, no intermediate, and no export below a root with a date."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from aia_store.inside.certificate import INTEGER, Certificate, encode, pem_certificates
from aia_store.inside.settings import Settings
from aia_store.manager import roots
from aia_store.manager.roots import Distrust, macos, p11kit, pem_files, windows
from tests.support.pki import Authority, Certified, der_of, pem
from tests.support.users import Users, require_users

OBJECT = "[p11-kit-object-v1]\n"
DISTRUSTED = OBJECT + "class: certificate\ncertificate-type: x-509\nx-distrusted: true\n"
ONE, TWO, THREE = (Authority.root(f"Distrust Root {number}") for number in range(3))


def public_key(authority: Authority) -> str:
    return authority.certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def quoted(value: bytes) -> str:
    return f'"{quote(value, safe="")}"'


def by_serial(authority: Authority, issuer: bytes | None = None) -> str:
    certificate = Certificate(authority.der)
    serial = quoted(encode(INTEGER, certificate.serial))
    return f"{DISTRUSTED}issuer: {quoted(issuer or certificate.issuer)}\nserial-number: {serial}\n"


def with_date(authority: Authority, date: str) -> str:
    return f'{OBJECT}trusted: true\nnss-mozilla-ca-policy: true\nnss-server-distrust-after: "{date}"\n{authority.pem}'


def openssl_settings(authority: Authority, *options: str) -> str:
    """The certificate with OpenSSL's trust settings, as the openssl command writes them."""
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command is not here")
    command = ["openssl", "x509", "-trustout", *options]
    return subprocess.run(command, input=authority.pem, capture_output=True, check=True, text=True).stdout


def source(folder: Path, **files: str | bytes) -> str:
    """A trust folder with these files; two underscores in a name are a slash, and every name ends in .p11-kit."""
    for name, contents in files.items():
        path = folder / (name.replace("__", "/") + ".p11-kit")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents if isinstance(contents, bytes) else contents.encode())
    return str(folder)


def named(distrust: Distrust, *certificates: Certified) -> list[bool]:
    return [distrust.names(Certificate(der_of(certificate))) for certificate in certificates]


@pytest.mark.parametrize(
    "files",
    [
        {"x": DISTRUSTED + ONE.pem},
        {"x": ONE.pem.join([DISTRUSTED.replace(": ", " : "), "\n"]).replace("\n", "\r\n")},
        {"x": OBJECT + ONE.pem + "x-distrusted: true\n"},
        {"x": f"# why\n{OBJECT}trusted: true\n{TWO.pem}\n# and\n{DISTRUSTED}{ONE.pem}{OBJECT}{THREE.pem}"},
        {"x": f"{DISTRUSTED}value: {quoted(ONE.der)}\n"},
        {"x": by_serial(ONE)},
        {"x": DISTRUSTED + public_key(ONE)},
        {"blocklist__x": ONE.pem},
        {"blacklist__x": f"as text\n{ONE.pem}"},
        {"blocklist__x": ONE.der},
        {"blocklist__x": OBJECT + "trusted: true\n" + ONE.pem},
        {"anchors__x": DISTRUSTED + ONE.pem},
    ],
    ids=[
        "certificate",
        "spaces and CRLF",
        "attribute after the certificate",
        "among others",
        "as an attribute",
        "issuer and serial number",
        "public key",
        "blocklist",
        "blacklist",
        "DER in the blocklist",
        "p11-kit in the blocklist",
        "among the anchors",
    ],
)
def test_it_is_distrusted_in_every_form_and_nothing_else_is(tmp_path: Path, files: dict[str, str]) -> None:
    distrust = Distrust([source(tmp_path, **files)])
    assert named(distrust, ONE, TWO, THREE) == [True, False, False]
    assert distrust.notes == []


def test_a_certificate_is_distrusted_with_its_key_and_a_serial_number_without(tmp_path: Path) -> None:
    distrust = Distrust([source(tmp_path, x=DISTRUSTED + ONE.pem + by_serial(TWO))])
    assert named(distrust, ONE.reissue(subject="Another name"), TWO, TWO.reissue()) == [True, True, False]


def test_an_issuer_is_known_by_its_canonical_name(tmp_path: Path) -> None:
    shouted = Authority.root("DISTRUST  root 0")
    distrust = Distrust([source(tmp_path, x=by_serial(ONE, issuer=Certificate(shouted.der).subject))])
    assert named(distrust, ONE, TWO) == [True, False]


@pytest.mark.parametrize(
    ("options", "distrusted"),
    [
        (["-addreject", "serverAuth"], True),
        (["-addreject", "anyExtendedKeyUsage"], True),
        (["-addreject", "emailProtection"], False),
        (["-addtrust", "serverAuth"], False),
        (["-addtrust", "emailProtection", "-addreject", "serverAuth", "-setalias", "alias"], True),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_openssls_own_settings_are_understood(tmp_path: Path, options: list[str], distrusted: bool) -> None:
    distrust = Distrust([source(tmp_path, x=openssl_settings(ONE, *options))])
    assert named(distrust, ONE, TWO) == [distrusted, False]


@pytest.mark.parametrize(
    ("date", "limited"),
    [("210301000000Z", True), ("%32%31%30%33%30%31000000Z", True), ("rubbish", True), ("%00", False), ("", False)],
)
def test_an_anchor_with_a_date_is_known(tmp_path: Path, date: str, limited: bool) -> None:
    distrust = Distrust([source(tmp_path, x=with_date(ONE, date) + with_date(TWO, "%00"))])
    assert [distrust.limits(Certificate(root.der)) for root in (ONE, ONE.reissue(), TWO)] == [limited, limited, False]
    assert named(distrust, ONE) == [False]


@pytest.mark.parametrize(
    "contents",
    [
        DISTRUSTED,
        DISTRUSTED + pem(ONE)[:200],
        DISTRUSTED + 'issuer: "%30"\nserial-number: "5"\n',
        DISTRUSTED + pem(b"no certificate"),
        DISTRUSTED + "x" * 100_000,
    ],
)
def test_what_cannot_be_read_is_noted_and_the_rest_is_read(tmp_path: Path, contents: str) -> None:
    distrust = Distrust([source(tmp_path, x=contents + "\n" + DISTRUSTED + TWO.pem)])
    assert named(distrust, ONE, TWO) == [False, True]
    assert distrust.notes == [f"{tmp_path}/x.p11-kit distrusts something that cannot be read"]


def test_strange_files_are_noted_and_delay_nobody(tmp_path: Path) -> None:
    source(tmp_path, x=DISTRUSTED + TWO.pem)
    (tmp_path / "README").write_text("no certificate here")
    (tmp_path / ".hidden").write_text(DISTRUSTED + ONE.pem)
    (tmp_path / "dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "fifo")
    with open(tmp_path / "huge", "wb") as file:
        file.truncate(pem_files.LARGEST + 1)
    distrust = Distrust([str(tmp_path)])
    assert named(distrust, ONE, TWO) == [False, True]
    assert [note.split(" ")[0] for note in distrust.notes] == [
        f"{tmp_path}/{name}" for name in ("dangling", "fifo", "huge")
    ]


EVERYTHING = {
    "x": DISTRUSTED + ONE.pem + by_serial(TWO) + DISTRUSTED + public_key(THREE),
    "y": with_date(Authority.root("With a date"), "210301000000Z"),
    "blocklist__z": Authority.root("In the blocklist").pem,
}


def test_the_trust_command_agrees(tmp_path: Path) -> None:
    """The real p11-kit extracts the anchors of the same folder, put where it was built to look."""
    require_users()
    if shutil.which("trust") is None:
        pytest.skip("the trust command of p11-kit is not here")
    dated, blocked = (next(pem_certificates(EVERYTHING[name].encode())) for name in ("y", "blocklist__z"))
    rejected = Authority.root("Rejected by OpenSSL's settings")
    candidates = [
        *(ONE, TWO, THREE, dated, blocked, rejected),
        *(authority.reissue(subject="Again") for authority in (ONE, THREE)),
        *(Authority.root(f"Fine {number}") for number in range(3)),
    ]
    folder = tmp_path / "source"
    source(
        folder, **EVERYTHING, anchors__all=pem(*candidates), w=openssl_settings(rejected, "-addreject", "serverAuth")
    )
    with Users({}) as users:
        place = users.cover("/etc/ssl/certs") / "ca-certificates.crt"
        shutil.copytree(folder, place)
        extract = "trust extract --format=pem-bundle --filter=ca-anchors --purpose=server-auth /var/cache/out"
        users.run(0, f"import subprocess; subprocess.run({extract.split()}, check=True)")
        extracted = set(pem_certificates((users.root / "var/cache/out").read_bytes()))
    distrust = Distrust([str(folder)])
    assert {der_of(item) for item in candidates if not distrust.names(Certificate(der_of(item)))} == extracted
    assert len(extracted) == 4
    assert dated in extracted


# On a machine: Arch's folders, covered by the test's own


@pytest.fixture
def users() -> Iterator[Users]:
    require_users()
    with Users({"AIA_STORE_ROOTS": "/var/cache/roots.pem", "AIA_STORE_DIR": "/var/cache/store"}) as made:
        yield made


@pytest.fixture
def trust_source(users: Users) -> Path:
    """The machine's trust folder."""
    folder = users.cover("/etc/ca-certificates") / "trust-source"
    folder.mkdir()
    return folder


COMMAND = "import sys; sys.argv[0] = 'aia-store'; from aia_store.cli import main; main()"
STATUS = """
from aia_store.cli import status
from aia_store.inside import settings
print(*status._roots(settings.load()), sep="\\n")
"""
PLANT = """
import sys
from aia_store.inside.certificate import Certificate, pem_certificates
from aia_store.inside.store import Folder
for der in pem_certificates(sys.argv[1].encode()):
    Folder("/var/cache/store").keep(Certificate(der))
"""


def bundled(users: Users) -> list[bytes]:
    users.run(0, COMMAND, "bundle")
    return list(pem_certificates((users.root / "var/cache/store/bundle.pem").read_bytes()))


def trust(users: Users, *anchors: Certified) -> None:
    (users.root / "var/cache/roots.pem").write_text(pem(*anchors))


def test_a_distrusted_root_and_all_below_it_leave_the_bundle_at_once(users: Users, trust_source: Path) -> None:
    trust(users, ONE, TWO)
    hung, stays = ONE.intermediate("Hung"), TWO.intermediate("Stays")
    users.run(0, PLANT, pem(hung, stays))
    assert set(bundled(users)) == {ONE.der, TWO.der, hung.der, stays.der}
    source(trust_source, blocklist__one=ONE.pem)
    assert bundled(users) == [TWO.der, stays.der]
    _, level, state, remedy = users.run(0, STATUS).splitlines()
    assert level == "ok"
    assert state.startswith("1 in /var/cache/roots.pem: ")
    assert "1 more are left out, because this system distrusts them" in state
    assert remedy == "None"
    (trust_source / "blocklist/one.p11-kit").write_text("")
    assert ONE.der in bundled(users)


def test_a_distrusted_intermediate_is_dropped_with_all_below_it_and_not_learned_again(
    users: Users, trust_source: Path
) -> None:
    trust(users, ONE)
    upper, stays = ONE.intermediate("Upper"), ONE.intermediate("Stays")
    lower = upper.intermediate("Lower")
    users.run(0, PLANT, pem(upper, lower, stays))
    source(trust_source, x=by_serial(upper))
    assert bundled(users) == [ONE.der, stays.der]
    said = users.run(0, COMMAND, "refresh")
    assert "this system distrusts it" in said
    assert "1 intermediate kept, 2 dropped" in said
    (users.root / "var/cache/again.pem").write_text(upper.pem)
    with users.start(0, COMMAND, "add", "/var/cache/again.pem") as process:
        output, _ = process.communicate(timeout=60)
    assert "distrusts" in output
    assert bundled(users) == [ONE.der, stays.der]


def test_below_a_root_with_a_date_nothing_is_exported_and_the_store_keeps_it(users: Users, trust_source: Path) -> None:
    trust(users, ONE, TWO)
    upper, stays = ONE.intermediate("Upper"), TWO.intermediate("Stays")
    users.run(0, PLANT, pem(upper, upper.intermediate("Lower"), stays))
    source(trust_source, x=with_date(ONE, "210301000000Z"))
    assert bundled(users) == [ONE.der, TWO.der, stays.der]
    assert "3 intermediates kept, 0 dropped" in users.run(0, COMMAND, "refresh")
    assert "for 1, nothing is exported" in users.run(0, STATUS)


def test_where_every_root_is_distrusted_the_old_bundle_stays(users: Users, trust_source: Path) -> None:
    trust(users, ONE)
    before = bundled(users)
    source(trust_source, x=DISTRUSTED + ONE.pem)
    with users.start(0, COMMAND, "bundle") as process:
        _, errors = process.communicate(timeout=60)
    assert "this system distrusts every certificate of /var/cache/roots.pem" in errors
    assert errors.count("\n") == 1
    assert list(pem_certificates((users.root / "var/cache/store/bundle.pem").read_bytes())) == before


def test_status_says_what_cannot_be_read(users: Users, trust_source: Path) -> None:
    trust(users, ONE)
    source(trust_source, x=DISTRUSTED)
    assert "x.p11-kit distrusts something that cannot be read" in users.run(0, STATUS)


# What to watch, and the systems without a file


def test_everything_that_changes_the_roots_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "roots.pem"
    file.write_text(ONE.pem)
    settings = Settings()
    settings.roots = str(file)
    watched = roots.watched(roots.source(settings))
    assert watched[0] == str(file)
    assert {"/etc/pki/ca-trust/source", "/etc/pki/ca-trust/source/blocklist"} <= {*watched}
    folder = source(tmp_path / "source", x=ONE.pem, blocklist__y=TWO.pem)
    assert p11kit.watched([folder]) == [
        *(folder, f"{folder}/x.p11-kit", f"{folder}/anchors"),
        *(f"{folder}/blocklist", f"{folder}/blocklist/y.p11-kit", f"{folder}/blacklist"),
    ]


def test_verdicts_of_macos() -> None:
    def setting(**keys: object) -> dict[str, object]:
        return {f"kSecTrustSettings{name}": value for name, value in keys.items()}

    entries = {
        "aa": [],
        "bb": [setting(Result=1)],
        "cc": [setting(Result=3)],
        "dd": [setting(Result=1, PolicyName="SMIME")],
        "ee": [setting(Result=2, PolicyName="sslServer"), setting(Result=3, PolicyName="basicX509")],
        "ff": [setting(Result=4)],
    }
    found = macos.verdicts({"trustList": {name: {"trustSettings": value} for name, value in entries.items()}})
    assert found == {"AA": True, "BB": True, "CC": False, "EE": False}


@pytest.mark.skipif(os.name != "posix", reason="these are not here")
def test_other_systems_are_told_apart() -> None:
    assert not windows.is_here()
    assert windows.certificates() == []
    assert macos.is_here() == os.path.exists(macos.PATH)
