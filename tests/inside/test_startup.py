"""From the start of an interpreter until `ssl` is patched: what switches the hook on and off, and which instance."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from aia_store.install.watcher import HOOKS
from tests.conftest import CONNECT_ONCE, Hierarchy, MakeHierarchy, run_python
from tests.support import NO_HOOK
from tests.support.servers import AIAHost, TLSServer

LOCAL_ISSUER = "unable to get local issuer certificate"
#: Whether a new context has a wrapper of ours.
ATTACHED = "import ssl; print(hasattr(type(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))._wrap_bio, '__code__'))\n"
WATCHED = {"PYTHONPATH": f"{HOOKS}{os.pathsep}{NO_HOOK}"}

#: The same, and the package of this working tree is found.
WITH_PACKAGE = {"PYTHONPATH": os.pathsep.join([HOOKS, NO_HOOK, *filter(None, sys.path)])}


@pytest.fixture
def pki(store: Path, hierarchy: MakeHierarchy) -> Hierarchy:
    return hierarchy()


@pytest.fixture
def config(store: Path) -> Path:
    """The user's config.toml."""
    folder = Path(os.environ["XDG_CONFIG_HOME"], "aia-store")
    folder.mkdir()
    return folder / "config.toml"


def test_the_configuration_switches_the_hook_off(config: Path) -> None:
    assert run_python(ATTACHED, hook=False, env=WATCHED).stdout == "True\n"
    config.write_text("disable = true\n")
    assert run_python(ATTACHED, hook=False, env=WATCHED).stdout == "False\n"
    assert run_python(ATTACHED, hook=False, env={**WATCHED, "AIA_STORE_DISABLE": "0"}).stdout == "True\n"


def test_the_configuration_switches_the_log_on(config: Path, pki: Hierarchy, aia: AIAHost) -> None:
    config.write_text('log = "debug"\n')
    with TLSServer(pki.leaf) as server:
        done = run_python(CONNECT_ONCE, server.port, pki.cafile, hook=False, env=WATCHED)
        assert done.stdout == "ok\n"
        assert aia.url("/0.cer") in done.stderr
        quiet = run_python(CONNECT_ONCE, server.port, pki.cafile, hook=False, env={**WATCHED, "AIA_STORE_LOG": ""})
        assert (quiet.stdout, quiet.stderr) == ("ok\n", "")


@pytest.mark.parametrize(
    ("library", "expected"), [("OpenSSL 3.0.0", True), ("BoringSSL", False), ("AWS-LC 1.0", False)]
)
def test_only_openssl_is_attached_to(store: Path, library: str, expected: bool) -> None:
    """Its kin verify at another moment; no Python of this machine is built with one, so one says it is."""
    code = f"import _ssl; _ssl.OPENSSL_VERSION = {library!r}\n{ATTACHED}"
    code += "import aia_store; aia_store.complete(ssl.create_default_context()); aia_store.create_default_context()\n"
    done = run_python(code, hook=False, env=WITH_PACKAGE)
    assert (done.stdout, done.stderr) == (f"{expected}\n", "")


def test_only_the_main_interpreter_is_attached_to(store: Path) -> None:
    run = "try:\n    import _interpreters as i\nexcept ImportError:\n    import _xxsubinterpreters as i\n"
    program = run + f"one = i.create()\ni.run_string(one, {ATTACHED!r})\ni.destroy(one)\n"
    plain = run_python(program, hook=False)
    if plain.returncode != 0:
        pytest.skip("this Python crashes by itself: 3.12.1 does")
    done = run_python(program, hook=False, env=WATCHED)
    assert (done.stdout, done.stderr) == ("False\n", "")


LOOKS = """
import inspect, ssl
new = ssl.SSLContext.__new__
print(inspect.signature(ssl.SSLContext), new.__name__, new.__qualname__, new.__module__, new.__doc__)
print(dir(ssl.SSLContext))
"""


def test_ssl_looks_as_without_the_hook_until_the_first_context(store: Path) -> None:
    plain = run_python(LOOKS, hook=False)
    assert run_python(LOOKS, hook=False, env=WATCHED).stdout == plain.stdout


RELOADED = """
import importlib, ssl
earlier = ssl.SSLContext
importlib.reload(ssl)
for make in (earlier, ssl.SSLContext):
    print(hasattr(type(make(ssl.PROTOCOL_TLS_CLIENT))._wrap_bio, "__code__"))
"""


def test_a_reload_of_ssl_leaves_no_class_unattached(store: Path) -> None:
    done = run_python(RELOADED, hook=False, env=WATCHED)
    assert (done.stdout, done.stderr) == ("True\nTrue\n", "")


STAND_IN = """
import operator, ssl, sys
from unittest import mock
with mock.patch(f"ssl.{sys.argv[1]}") as stand_in:
    for _ in range(2):
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    print(operator.attrgetter(sys.argv[1])(ssl) is stand_in)
"""


@pytest.mark.parametrize(
    "name",
    ["SSLContext.load_cert_chain", "SSLContext._wrap_bio", "SSLSocket.do_handshake", "SSLObject.read", "SSLSocket"],
)
def test_what_stands_in_for_a_method_is_called_and_attached_to_later(store: Path, name: str) -> None:
    """A test of a program may put a mock in the place of a method before the program makes its first context."""
    done = run_python(STAND_IN + ATTACHED, name, hook=False, env=WATCHED)
    assert (done.stdout, done.stderr) == ("True\nTrue\n", "")


@pytest.mark.parametrize(
    ("call", "completes"),
    [
        ("aia_store.enable()", True),
        ("aia_store.disable()", False),
        ("aia_store.disable(); aia_store.enable()", True),
        (
            "aia_store.disable(); make = ssl.create_default_context; new = lambda **n: aia_store.complete(make(**n))",
            True,
        ),
        ("aia_store.disable(); new = aia_store.create_default_context", True),
    ],
)
def test_the_package_acts_on_the_hook_that_was_first(pki: Hierarchy, call: str, completes: bool) -> None:
    program = f"import aia_store, ssl, sys\n{call}\nprint('aia_store.inside' in sys.modules)\n"
    program += CONNECT_ONCE.replace("ssl.create_default_context(", "globals().get('new', ssl.create_default_context)(")
    with TLSServer(pki.leaf) as server:
        done = run_python(program, server.port, pki.cafile, hook=False, env=WITH_PACKAGE)
    assert done.stdout == ("False\nok\n" if completes else "False\n")
    assert completes or LOCAL_ISSUER in done.stderr


#: How many certificates a context holds, according to OpenSSL without our wrappers: `-c LOADED cafile`.
LOADED = """
import sys, aia_store
context = aia_store.create_default_context(cafile=sys.argv[1])
import _ssl
print(_ssl._SSLContext.cert_store_stats(context)["x509"], context.cert_store_stats()["x509"] > 100)
"""


@pytest.mark.parametrize("environment", [{}, WITH_PACKAGE], ids=["alone", "with the hook"])
def test_a_context_of_the_package_gets_trust_on_demand(store: Path, environment: dict[str, str]) -> None:
    import certifi

    done = run_python(LOADED, certifi.where(), hook=False, env=environment)
    assert (done.stdout, done.stderr) == ("0 True\n", "")
