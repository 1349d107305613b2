"""The images of docs/install.md, built by its Dockerfiles and run by its command line; `run` makes the Debian."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers.image import Builder, Image, run
from tests.docs.blocks import named
from tests.manager.reports import mozilla
from tests.support.pki import Authority
from tests.support.servers import AIAHost, TLSServer

BASE, GIVEN = Path(os.environ["AIA_STORE_CONTAINERS"]), Path(os.environ["AIA_STORE_CONTAINERS_GIVEN"])

SIMPLE = "install.md: FROM python:3.13-slim\n"
SMALL = "install.md: FROM python:3.13-slim AS build"
DOCKER_RUN = named("install.md: docker run --read-only").commands.replace("\\\n", "")

PUBLIC, COMPANY = Authority.root("Public Root"), Authority.root("Company Root")
FETCHED = PUBLIC.intermediate("Public CA", aia=["http://localhost:8080/root.cer"])
PRELOADED = PUBLIC.intermediate("Preloaded CA")

#: Connects to each port that it is told, and says what the server said, or why it cannot be.
PROGRAM = """
import sys, urllib.request
def main():
    for port in sys.argv[1:]:
        try:
            print(urllib.request.urlopen(f"https://localhost:{port}/", timeout=20).read().decode())
        except OSError as error:
            print(str(error))
"""
OK, REFUSED = "ok", "unable to get local issuer certificate"

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that has what the Dockerfiles copy, and the folder of the company's CA."""
    folder = tmp_path_factory.mktemp("context")
    shutil.copytree(GIVEN / "dist", folder / "dist")
    (folder / "MozillaIntermediateCerts.csv").write_bytes(mozilla([PRELOADED]))
    (folder / "company-ca").mkdir()
    (folder / "company-ca" / "company.pem").write_text(COMPANY.pem)
    return folder


@pytest.fixture(scope="module")
def builder(context: Path, tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """Builds over a Debian that trusts the public root besides its own, and has the hosts that Docker writes."""
    trusts = tmp_path_factory.mktemp("trusts")
    roots = trusts / "etc/ssl/certs/ca-certificates.crt"
    roots.parent.mkdir(parents=True)
    roots.write_text((BASE / "etc/ssl/certs/ca-certificates.crt").read_text() + PUBLIC.pem)
    (trusts / "etc/hosts").write_text("127.0.0.1 localhost\n")
    with zipfile.ZipFile(GIVEN / "wheels" / "your_program-1-py3-none-any.whl", "w") as wheel:
        info = "your_program-1.dist-info"
        wheel.writestr("your_program.py", PROGRAM)
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: your-program\nVersion: 1\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/entry_points.txt", "[console_scripts]\nyour-program = your_program:main\n")
        wheel.writestr(f"{info}/RECORD", "")
    place = tmp_path_factory.mktemp("images")
    subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)  # an overlay's upper folder may be no overlay
    return Builder(Image((trusts, BASE)), context, GIVEN, place)


@pytest.fixture(scope="module")
def simple(builder: Builder) -> Image:
    """The first image of the page."""
    return built(builder, SIMPLE)


@pytest.fixture(scope="module")
def small(builder: Builder) -> Image:
    """The image of two stages."""
    return built(builder, SMALL)


def built(builder: Builder, block: str) -> Image:
    try:
        return builder.build(named(block).text)
    except subprocess.CalledProcessError as error:
        pytest.fail(f"{error.cmd[-1]}\n{error.stdout.decode()}")


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, str]]:
    """Servers that send their leaf alone: of a CA whose host is here, of a preloaded one, and of the company's root."""
    with (
        AIAHost(8080) as host,
        TLSServer(FETCHED.leaf(aia=[host.publish("/fetched.cer", FETCHED.der)])) as fetched,
        TLSServer(PRELOADED.leaf()) as preloaded,
        TLSServer(COMPANY.leaf()) as company,
    ):
        yield {"fetched": str(fetched.port), "preloaded": str(preloaded.port), "company": str(company.port)}


WITHOUT_HOME: dict[str, str] = {}
#: What Docker sets for a user that the image does not know.
HOMES = pytest.mark.parametrize("home", [WITHOUT_HOME, {"HOME": "/"}], ids=["without HOME", "HOME=/"])


@HOMES
@pytest.mark.parametrize("user", [0, 10001])
def test_the_simple_image_completes_chains_read_only(
    simple: Image, ports: dict[str, str], tmp_path: Path, context: Path, home: dict[str, str], user: int
) -> None:
    line = f"docker run --read-only --user {user} --env AIA_STORE_ALLOWED_NETWORKS=127.0.0.0/8 image your-program"
    done = run(
        simple, f"{line} {ports['fetched']} {ports['company']}", context=context, place=tmp_path / "c", variables=home
    )
    assert done.stderr == ""
    first, second = done.stdout.splitlines()
    assert first == OK
    assert REFUSED in second or "self-signed" in second
    disabled = {**home, "AIA_STORE_DISABLE": "1"}
    done = run(simple, f"{line} {ports['fetched']}", context=context, place=tmp_path / "c", variables=disabled)
    assert REFUSED in done.stdout


@HOMES
def test_the_small_image_trusts_the_company_too_and_knows_what_was_preloaded(
    small: Image, ports: dict[str, str], tmp_path: Path, context: Path, home: dict[str, str]
) -> None:
    command = ("your-program", ports["preloaded"], ports["company"])
    done = run(small, DOCKER_RUN, *command, context=context, place=tmp_path / "c", variables=home)
    assert (done.stdout.splitlines(), done.stderr) == ([OK, OK], "")


def test_without_the_companys_ca_it_is_not_trusted(
    small: Image, ports: dict[str, str], tmp_path: Path, context: Path
) -> None:
    line = "docker run --read-only --tmpfs /tmp image"
    command = ("your-program", ports["preloaded"], ports["company"])
    done = run(small, line, *command, context=context, place=tmp_path / "c")
    first, second = done.stdout.splitlines()
    assert (first, done.stderr) == (OK, "")
    assert second != OK


@pytest.mark.parametrize("text", ["", COMPANY.pem[:300]], ids=["empty", "cut short"])
def test_a_damaged_ca_is_said_in_one_line_and_the_program_starts(
    small: Image, ports: dict[str, str], tmp_path: Path, context: Path, text: str
) -> None:
    (tmp_path / "company-ca").mkdir()
    (tmp_path / "company-ca" / "company.pem").write_text(text)
    done = run(small, DOCKER_RUN, "your-program", ports["preloaded"], context=tmp_path, place=tmp_path / "c")
    assert done.stdout.splitlines() == [OK]
    assert done.stderr.startswith("aia-store: /etc/company-ca/company.pem ")
    assert done.stderr.count("\n") == 1


def test_where_nothing_can_be_written_the_program_starts_all_the_same(
    small: Image, ports: dict[str, str], tmp_path: Path, context: Path
) -> None:
    line = DOCKER_RUN.replace("--tmpfs /tmp ", "")
    done = run(small, line, "your-program", ports["preloaded"], context=context, place=tmp_path / "c")
    assert done.stdout.splitlines() == [OK]
    assert done.stderr.startswith("aia-store: ")
    assert done.stderr.count("\n") == 1


def test_root_accepts_a_config_map_which_is_mounted_with_mode_777(
    small: Image, ports: dict[str, str], tmp_path: Path
) -> None:
    config_map = tmp_path / "company-ca"
    (config_map / "..data").mkdir(parents=True)
    (config_map / "..data" / "company.pem").write_text(COMPANY.pem)
    (config_map / "company.pem").symlink_to("..data/company.pem")
    config_map.chmod(0o777)
    line = DOCKER_RUN.replace("--read-only", "--user 0")
    done = run(small, line, "your-program", ports["company"], context=tmp_path, place=tmp_path / "c")
    assert (done.stdout, done.stderr) == ("ok\n", "")


def test_root_needs_a_place_for_the_store_where_all_is_read_only(
    small: Image, ports: dict[str, str], tmp_path: Path, context: Path
) -> None:
    line = DOCKER_RUN.replace("docker run", "docker run --user 0 --tmpfs /var/cache/aia-store:mode=755")
    done = run(small, line, "your-program", ports["company"], context=context, place=tmp_path / "c")
    assert (done.stdout, done.stderr) == ("ok\n", "")


def test_the_small_image_has_no_pip_in_its_environment(small: Image) -> None:
    environment = small.layers[0] / "venv"
    assert list(environment.glob("lib/*/site-packages/aia_store"))
    assert not list(environment.glob("**/pip*"))
    assert not (small.layers[0] / "usr" / "local").exists()


#: Prints the median of the times that commands take, in ms; each is given after its name.
TIMES = """
import statistics, subprocess, sys, time
for name, command in zip(sys.argv[1::2], sys.argv[2::2]):
    took = []
    for _ in range(20):
        began = time.perf_counter()
        subprocess.run(["sh", "-c", command], check=True, stdout=subprocess.DEVNULL)
        took.append(time.perf_counter() - began)
    print(f"{1000 * statistics.median(took):6.0f} ms  {name}")
"""


def test_size_and_start_up_are_printed(
    small: Image, tmp_path: Path, context: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upper = small.layers[0]
    (package,) = upper.glob("venv/lib/*/site-packages/aia_store")
    sizes = {
        "the environment": upper / "venv",
        "of that, aia-store": package,
        "of that, what programs load": package / "inside",
        "the store": upper / "var/cache/aia-store",
    }
    program = "import urllib.request, ssl; ssl.create_default_context()"
    commands = {
        "python -c pass, without the hook": "python -I -S -c pass",
        "python -c pass": "python -c pass",
        "a program that makes a context": f"python -c '{program}'",
        "the same without the hook": f"AIA_STORE_DISABLE=1 python -c '{program}'",
        "aia-store env, the first time": "rm -rf /tmp/aia-store; aia-store env --shell sh",
        "aia-store env, later": "aia-store env --shell sh",
    }
    arguments = [word for pair in commands.items() for word in pair]
    done = run(small, DOCKER_RUN, "python", "-c", TIMES, *arguments, context=context, place=tmp_path / "c")
    assert done.returncode == 0, done.stderr
    with capsys.disabled():
        print()
        for name, path in sizes.items():
            print(f"{sum(file.lstat().st_size for file in path.rglob('*')) / 1e6:6.1f} MB  {name}")
        print(done.stdout, end="")
