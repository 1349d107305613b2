"""What is run: CPython's tests of everything that speaks TLS, trio's TLS tests, and urllib3's."""

from __future__ import annotations

from dataclasses import dataclass

from .environment import Environment

#: What the tests of trio and urllib3 need; urllib3 itself is installed from its source archive, which has its tests.
REQUIREMENTS = (
    "anyio",
    "cryptography",
    "h2",
    "httpx",
    "hypercorn",
    "idna",
    "pyopenssl",
    "pysocks",
    "pytest",
    "pytest-socket",
    "pytest-timeout",
    "quart",
    "quart-trio",
    "trio",
    "trustme",
)


@dataclass(frozen=True)
class CPython:
    """One module of CPython's own tests, run by CPython's own runner, without its resources (the network is one)."""

    module: str
    files: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"CPython: {self.module}"

    def is_in(self, environment: Environment) -> bool:
        """Whether this Python has it: they differ by version, and a distribution may leave all of them out."""
        return environment.has_module(f"test.{self.module}")

    def command(self, environment: Environment, report: str, tests: list[str]) -> tuple[list[str], str]:
        """What runs these tests of it (all if none is named), and in which folder."""
        selected = [part for test in tests for part in ("--match", test)]
        runner = [environment.python, "-m", "test", "--timeout", "300", "--junit-xml", report]
        return [*runner, *selected, f"test.{self.module}"], environment.folder


@dataclass(frozen=True)
class Pytest:
    """Some files of a project that is tested by pytest."""

    project: str
    files: tuple[str, ...]
    options: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.project}: TLS"

    def is_in(self, environment: Environment) -> bool:
        return True

    def command(self, environment: Environment, report: str, tests: list[str]) -> tuple[list[str], str]:
        """What runs these tests of it (all if none is named), and in which folder."""
        options = ["-q", "--rootdir", ".", "-p", "no:cacheprovider", "--junit-xml", report, *self.options]
        runner = [environment.python, "-m", "pytest", *options]
        return [*runner, *(tests or self.files)], environment.sources[self.project]


Suite = CPython | Pytest

SUITES: tuple[Suite, ...] = (
    CPython("test_ssl"),
    CPython("test_ftplib"),
    CPython("test_imaplib"),
    CPython("test_poplib"),
    CPython("test_httplib"),
    CPython("test_urllib2_localnet"),
    CPython("test_xmlrpc"),
    CPython("test_asyncio.test_ssl"),
    CPython("test_asyncio.test_sslproto"),
    CPython("test_asyncio.test_streams"),
    Pytest(
        "trio",
        ("trio/_tests/test_ssl.py", "trio/_tests/test_highlevel_ssl_helpers.py", "trio/_tests/test_dtls.py"),
        ("-p", "trio._tests.pytest_plugin"),
    ),
    Pytest(
        "urllib3",  # but for its tests of proxies, which need a hypercorn that is on no index
        (
            "test/test_ssl.py",
            "test/test_ssltransport.py",
            "test/with_dummyserver/test_https.py",
            "test/with_dummyserver/test_socketlevel.py",
            "test/contrib/test_pyopenssl.py",
        ),
        # Compares the identifiers of two threads, of which the first may have ended and left its own to the second.
        ("-k", "not test_http2_probe_blocked_per_thread"),
    ),
)
