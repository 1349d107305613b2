"""Whatever happens to our package or to a program's rights while it runs, right servers are still accepted.

What a guard needs is loaded before the guard: else the error of an import, or of an open file too many, is the
program's. Servers that are not right are refused with plain Python's own error.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

import aia_store
from tests.conftest import run_python
from tests.inside.harm.conftest import MEET, UNKNOWN, Sites, size

NOBODY = 65_534

#: A program that meets servers before and after something happened to it. `stage` says how far it was then.
PROGRAM = """
import encodings.idna

ports, stage, cafile, package = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]

def verdict(context, kind):
    try:
        said = meet(context, ports[kind])
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    # After a search, all that another one needs may be loaded, and then a chain may be completed.
    return UNKNOWN if (kind, stage, said) == ("leaf-only", "one refused", "ok") else said

if stage == "before ssl":
    happen()
    import ssl
context = ssl.create_default_context(cafile=cafile or None)
if stage == "one met":
    assert verdict(context, "right") == "ok"
if stage == "one refused":
    assert verdict(context, "unknown") != "ok"
if stage != "before ssl":
    happen()
said = [verdict(context, kind) for kind in KINDS]
if MAKES_MORE:
    another = ssl.create_default_context(cafile=cafile or None)
    said += [verdict(another, kind) for kind in KINDS]
    said.append(len(another.get_ca_certs()))
said += [len(context.get_ca_certs()), context.cert_store_stats()]
print(json.dumps(said))
"""

#: `ssl` is imported late, for the stage before it.
LATE = MEET.replace("import json, os, socket, ssl, sys", "import json, os, socket, sys")

REMOVED = """
import shutil

def happen():
    shutil.rmtree(package)
"""

UPGRADED = """
def happen():
    for folder, _, files in os.walk(package):
        for file in files:
            path = os.path.join(folder, file)
            os.unlink(path)
            with open(path, "w") as new:
                new.write("from nowhere import nothing\\n")
"""

BROKEN_MIDWAY = """
def happen():
    for folder, _, files in os.walk(package):
        for file in files:
            os.truncate(os.path.join(folder, file), 0)
"""

UNREADABLE = f"""
def happen():
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
    try:
        os.listdir(os.path.dirname(package))
    except PermissionError:
        return
    sys.exit("the package can still be read")
"""

CHROOT = """
def happen():
    root = os.path.join(os.path.dirname(os.path.dirname(package)), "root")
    os.mkdir(root)
    os.chroot(root)
    os.chdir("/")
"""

NO_DESCRIPTORS = """
import resource

def happen():
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
"""

EVENTS = {
    "removed": REMOVED,
    "upgraded": UPGRADED,
    "broken midway": BROKEN_MIDWAY,
    "privileges dropped": UNREADABLE,
    "chroot": CHROOT,
    "no descriptors": NO_DESCRIPTORS,
}
#: Where even a plain program could not read its CA file again.
ONLY_OLD_CONTEXTS = {"privileges dropped", "chroot", "no descriptors"}
NEEDS_ROOT = {"privileges dropped", "chroot"}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of our package, alone in a folder that only its owner may enter."""
    folder = tmp_path / "private" / "site"
    folder.mkdir(parents=True)
    copy = folder / "aia_store"
    shutil.copytree(Path(aia_store.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    folder.chmod(0o700)
    return copy


def run(code: str, package: Path, arguments: Sequence[object], *, hook: bool) -> tuple[str, str]:
    """What such a program says, with that package's hook or none."""
    env = {"PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    done = run_python(code, *arguments, package, env=env, hook=hook, cwd=package.parents[1])
    return done.stdout, done.stderr


STAGES = ["context made", "before ssl", "one met", "one refused"]
CA_FILES = ["cafile", "large cafile", "default paths"]
CASES = [
    (event, stage, cafile)
    for event in EVENTS
    for number, stage in enumerate(STAGES)
    if not (event in ONLY_OLD_CONTEXTS and stage == "before ssl")  # plain Python cannot make a context then
    for cafile in CA_FILES[size(0 if number == 0 else -1, 0) :]
]


@pytest.mark.usefixtures("default_paths")
@pytest.mark.parametrize(("event", "stage", "cafile"), CASES)
def test_a_program_goes_on_as_in_plain_python(
    sites: Sites, tmp_path: Path, package: Path, event: str, stage: str, cafile: str
) -> None:
    if event in NEEDS_ROOT and os.geteuid() != 0:
        pytest.skip("only root can do that")
    file = {"cafile": sites.pki.cafile, "large cafile": sites.large_cafile, "default paths": ""}[cafile]
    constants = f"UNKNOWN = {UNKNOWN!r}\n"
    constants += 'KINDS = ["right", "leaf-only", "self-signed", "unknown", "right"]\n'
    constants += f"MAKES_MORE = {event not in ONLY_OLD_CONTEXTS}\n"
    prelude = LATE if stage == "before ssl" else MEET
    program = prelude + constants + EVENTS[event] + PROGRAM
    arguments = (sites.ports, stage, file)
    spare = tmp_path / "spare"
    shutil.copytree(package.parents[1], spare)
    hooked = run(program, package, arguments, hook=True)
    plain = run(program, spare / "site" / "aia_store", arguments, hook=False)
    assert plain[1] == ""
    assert hooked == plain


def test_the_copy_of_the_package_is_what_runs(sites: Sites, package: Path) -> None:
    """Otherwise these tests would prove nothing."""
    code = MEET + (
        "import aia_store\n"
        "print(aia_store.__file__)\n"
        "print(meet(ssl.create_default_context(cafile=sys.argv[2]), sys.argv[1]))\n"
    )
    said, errors = run(code, package, (sites.port("leaf-only"), sites.pki.cafile), hook=True)
    assert (said, errors) == (f"{package}/__init__.py\nok\n", "")


@pytest.mark.parametrize("event", EVENTS)
def test_what_was_completed_before_stays_usable(sites: Sites, package: Path, event: str) -> None:
    """A chain that was completed once may be completed again or not, but the right servers beside it are accepted."""
    if event in NEEDS_ROOT and os.geteuid() != 0:
        pytest.skip("only root can do that")
    program = """
ports, cafile, package = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]
import encodings.idna
context = ssl.create_default_context(cafile=cafile)
first = meet(context, ports["leaf-only"])
happen()
print(first, meet(context, ports["right"]), meet(context, ports["leaf-only"]), meet(context, ports["right"]), sep="\\n")
"""
    said, errors = run(MEET + EVENTS[event] + program, package, (sites.ports, sites.large_cafile), hook=True)
    assert errors == ""
    first, right, again, last = said.splitlines()
    assert (first, right, last) == ("ok", "ok", "ok")
    assert again in ("ok", UNKNOWN)
