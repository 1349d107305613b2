"""What the hook costs programs that do not need it, and what they can see of it: next to nothing."""

from __future__ import annotations

import json
import os
import ssl
from pathlib import Path

import pytest

from aia_store.install.watcher import HOOKS
from tests.conftest import CONNECT, CONNECT_ONCE, Hierarchy, MakeHierarchy, run_python
from tests.support import NO_HOOK
from tests.support.servers import AIAHost, TLSServer

MANAGERS = {"cryptography", "watchdog", "platformdirs", "click", "rich", "certifi"}

WATCHED = {"PYTHONPATH": f"{HOOKS}{os.pathsep}{NO_HOOK}"}

#: After `CONNECT_ONCE`: what was imported.
AND_MODULES = "import json; print(json.dumps(sorted(sys.modules)))\n"

#: What the hook adds to an interpreter's start, and to `import ssl`.
AT_START = {"aia_store_finder", "sitecustomize"}
ON_IMPORT = AT_START | {"_aia_store", "_aia_store.startup"}
#: Of the standard library, beyond what ssl and socket import.
CHEAP = {"__future__", "_xxsubinterpreters", "_sha1"}
#: What only an incomplete chain may import.
SEARCH = {
    "aia_store.inside.pauses",
    "aia_store.inside.locks",
    "aia_store.inside.store",
    "aia_store.inside.aia",
    "aia_store.inside.fetch",
    "aia_store.inside.reply",
}
#: Modules of ours. Finding and opening one takes a program 0.1 ms, whatever its length.
MOST_ON_A_RIGHT_SERVER, MOST_KNOWN_ON_DISK, MOST_ON_A_FIRST_FETCH = 10, 12, 17


def modules(code: str, *args: object, hook: bool = True, env: dict[str, str] | None = None) -> set[str]:
    """What such a program has imported in the end."""
    done = run_python(code + AND_MODULES, *args, hook=hook, env=env)
    assert done.stderr == ""
    return set(json.loads(done.stdout.splitlines()[-1]))


def ours_among(names: set[str]) -> set[str]:
    return {name for name in names if name.split(".")[0] == "aia_store"}


def loads_no_more_than(expected: set[str], code: str) -> bool:
    """Whether the hook as it is installed adds just that. Some of it may be there without: from the machine's own."""
    watched = modules(code, hook=False, env=WATCHED)
    return watched - modules(code, hook=False, env={"PYTHONPATH": NO_HOOK}) <= expected <= watched


@pytest.fixture
def pki(store: Path, hierarchy: MakeHierarchy) -> Hierarchy:
    return hierarchy()


def test_python_alone(store: Path) -> None:
    assert loads_no_more_than(AT_START, "import sys\n")
    assert not store.exists()


def test_import_of_ssl(store: Path) -> None:
    assert loads_no_more_than(ON_IMPORT, "import ssl, sys\n")
    assert not store.exists()


def test_a_right_server(pki: Hierarchy, aia: AIAHost, store: Path) -> None:
    with TLSServer(pki.leaf, pki.intermediates) as server:
        bare = modules(CONNECT_ONCE, server.port, pki.cafile, hook=False)
        with_hook = modules(CONNECT_ONCE, server.port, pki.cafile)
    assert "aia_store.inside.verification" in with_hook
    assert not SEARCH & with_hook
    ours = ours_among(with_hook)
    assert len(ours) <= MOST_ON_A_RIGHT_SERVER
    assert with_hook - bare <= ours | CHEAP
    assert not store.exists()
    assert aia.connections == 0


def test_a_first_meeting_and_the_second(pki: Hierarchy, aia: AIAHost) -> None:
    with TLSServer(pki.leaf) as server:
        first = modules(CONNECT_ONCE, server.port, pki.cafile)
        assert aia.count() == 1
        second = modules(CONNECT_ONCE, server.port, pki.cafile)
        assert aia.count() == 1
    assert len(ours_among(first)) <= MOST_ON_A_FIRST_FETCH
    assert len(ours_among(second)) <= MOST_KNOWN_ON_DISK
    assert not MANAGERS & first
    assert not {"aia_store.inside.handin", "aia_store.inside.revoked"} & first, "nobody hands in or revokes here"
    assert "http.client" in first  # or this test shows nothing
    assert not (MANAGERS | {"http.client", "urllib.parse", "asyncio", "threading", "logging"}) & second
    assert not {"hashlib", "tempfile", "random"} & second


def test_nothing_is_printed(pki: Hierarchy) -> None:
    with TLSServer(pki.leaf) as server:
        for _ in range(2):
            done = run_python(CONNECT_ONCE, server.port, pki.cafile)
            assert (done.stdout, done.stderr) == ("ok\n", "")


def test_a_failure_looks_as_without_the_hook(pki: Hierarchy, aia: AIAHost) -> None:
    aia.publish("/0.cer", b"rubbish")
    code = (
        CONNECT + "try: connect(*sys.argv[1:])\nexcept ssl.SSLError as error: print(repr(error), error.__context__)\n"
    )
    with TLSServer(pki.leaf) as server:
        plain = run_python(code, server.port, pki.cafile, hook=False)
        done = run_python(code, server.port, pki.cafile)
    assert aia.count() == 1
    assert "CERTIFICATE_VERIFY_FAILED" in plain.stdout
    assert (done.stdout, done.stderr) == (plain.stdout, plain.stderr)


@pytest.mark.parametrize(("log", "speaks"), [("debug", True), ("DEBUG", True), ("", False)])
def test_the_log_is_written_if_asked_for(pki: Hierarchy, aia: AIAHost, log: str, speaks: bool) -> None:
    with TLSServer(pki.leaf) as server:
        done = run_python(CONNECT_ONCE, server.port, pki.cafile, env={"AIA_STORE_LOG": log})
    assert done.stdout == "ok\n"
    lines = done.stderr.splitlines()
    assert all(line.startswith("aia-store: ") for line in lines)
    assert any(aia.url("/0.cer") in line for line in lines) is speaks


def test_a_closed_standard_error(pki: Hierarchy) -> None:
    code = "import os, sys; os.close(2); sys.stderr = None\n" + CONNECT_ONCE
    with TLSServer(pki.leaf) as server:
        assert run_python(code, server.port, pki.cafile, env={"AIA_STORE_LOG": "debug"}).stdout == "ok\n"


@pytest.mark.parametrize("start", ["", "import aia_store; aia_store.enable()\n"], ids=["hook", "enable"])
def test_disabled_by_the_environment(pki: Hierarchy, aia: AIAHost, store: Path, start: str) -> None:
    with TLSServer(pki.leaf) as server:
        done = run_python(start + CONNECT_ONCE, server.port, pki.cafile, env={"AIA_STORE_DISABLE": "1"})
    assert "unable to get local issuer certificate" in done.stderr.splitlines()[-1]
    assert aia.connections == 0
    assert not store.exists()


def test_disabled_means_not_there(store: Path) -> None:
    code = "import sys, ssl; ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)\n"
    code += "print(ssl.SSLContext.__new__.__code__.co_filename, '_aia_store.settings' in sys.modules)\n"
    done = run_python(code, hook=False, env={"AIA_STORE_DISABLE": "1", **WATCHED})
    assert done.stdout == f"{ssl.__file__} False\n"


@pytest.mark.parametrize(
    "config", ["no [ toml", "unknown = 1", "offline = 'perhaps'", "allowed_networks = ['x']", "\0"]
)
def test_a_broken_configuration(pki: Hierarchy, aia: AIAHost, config: str) -> None:
    folder = Path(os.environ["XDG_CONFIG_HOME"], "aia-store")
    folder.mkdir()
    (folder / "config.toml").write_text(config)
    with TLSServer(pki.leaf) as broken, TLSServer(pki.leaf, pki.intermediates) as right:
        done = run_python(CONNECT_ONCE, right.port, pki.cafile)
        assert (done.stdout, done.stderr) == ("ok\n", "")
        done = run_python(CONNECT_ONCE, broken.port, pki.cafile)
    assert "unable to get local issuer certificate" in done.stderr
    assert "aia_store.inside.settings" not in done.stderr
    assert aia.connections == 0


def test_a_broken_variable(pki: Hierarchy, aia: AIAHost) -> None:
    with TLSServer(pki.leaf) as server:
        done = run_python(CONNECT_ONCE, server.port, pki.cafile, env={"AIA_STORE_OFFLINE": "perhaps"})
    assert "unable to get local issuer certificate" in done.stderr
    assert "ConfigError" not in done.stderr
    assert aia.connections == 0


def test_settings_come_from_the_configuration_too(pki: Hierarchy, aia: AIAHost) -> None:
    folder = Path(os.environ["XDG_CONFIG_HOME"], "aia-store")
    folder.mkdir()
    (folder / "config.toml").write_text("offline = true\n")
    with TLSServer(pki.leaf) as server:
        assert "unable to get local issuer" in run_python(CONNECT_ONCE, server.port, pki.cafile).stderr
        assert aia.connections == 0
        done = run_python(CONNECT_ONCE, server.port, pki.cafile, env={"AIA_STORE_OFFLINE": "0"})
    assert done.stdout == "ok\n"


@pytest.mark.parametrize("times", [1, 3])
def test_reload_of_ssl(pki: Hierarchy, times: int) -> None:
    code = (
        CONNECT + f"import importlib\nfor _ in range({times}): importlib.reload(ssl)\nprint(connect(*sys.argv[1:]))\n"
    )
    with TLSServer(pki.leaf) as server:
        done = run_python(code, server.port, pki.cafile)
    assert (done.stdout, done.stderr) == ("ok\n", "")


def test_ssl_is_found_as_ever(store: Path) -> None:
    code = (
        "import importlib.util, sys\n"
        "spec = importlib.util.find_spec('ssl')\n"
        "import ssl, inspect\n"
        "print(ssl.__spec__.origin == spec.origin == ssl.__file__, type(ssl.__loader__).__name__)\n"
        "print(inspect.getsource(ssl).startswith('#'))\n"
    )
    plain = run_python(code, hook=False)
    done = run_python(code)
    assert (done.stdout, done.stderr) == (plain.stdout, "")


def test_an_exception_in_the_hook_is_no_exception_in_the_program(pki: Hierarchy, store: Path) -> None:
    """A store that cannot even be opened."""
    with TLSServer(pki.leaf) as server, TLSServer(pki.leaf, pki.intermediates) as right:
        env = {"AIA_STORE_DIR": "/\udc80" + "x" * 5000}
        done = run_python(CONNECT_ONCE, server.port, pki.cafile, env=env)
        assert (done.stdout, done.stderr) == ("ok\n", "")
        done = run_python(CONNECT_ONCE, right.port, pki.cafile, env=env)
        assert (done.stdout, done.stderr) == ("ok\n", "")


def test_contexts_are_not_kept_alive(pki: Hierarchy) -> None:
    code = """
import gc, socket, ssl, sys, weakref
gc.disable()
context = ssl.create_default_context(cafile=sys.argv[2])
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as tcp:
    with context.wrap_socket(tcp, server_hostname="localhost") as tls:
        tls.version()
gone = weakref.ref(context)
del context, tls, tcp
print(gone())
"""
    with TLSServer(pki.leaf) as server:
        done = run_python(code, server.port, pki.cafile)
    assert (done.stdout, done.stderr) == ("None\n", "")
