"""What a program's context has besides a deferred CA file counts as in plain Python."""

from __future__ import annotations

import _ssl
import os
import ssl
from datetime import timedelta
from pathlib import Path

import pytest

from tests.conftest import FLAGS, get, hashed_directory, refused
from tests.handshake.on_demand.conftest import Trust
from tests.inside.contexts.files import folder_of, trusted_pem
from tests.support.ca_files import large_ca_file
from tests.support.pki import Authority, Leaf, pem
from tests.support.servers import TLSServer

flags_of = pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS.keys())


@flags_of
def test_a_pinned_self_signed_certificate_that_is_no_ca(hook: None, trust: Trust, flags: int) -> None:
    """OpenSSL trusts it, and does not show it among the CA certificates."""
    pinned = Leaf._make("localhost", None, {"san": ["localhost"]})
    with TLSServer(pinned) as server:
        for cafile_first in (True, False):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.verify_flags = ssl.VerifyFlags(flags)
            loads = [{"cafile": trust.cafile}, {"cadata": pem(pinned)}]
            for load in loads if cafile_first else loads[::-1]:
                context.load_verify_locations(**load)  # type: ignore[arg-type]
            assert get(server, context) == b"ok"
            assert get(trust.servers[0], context) == b"ok"


@pytest.mark.parametrize("change", ["variable", "content", "directory"])
def test_the_default_paths_are_those_of_when_they_were_loaded(
    hook: None, trust: Trust, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Another root, which comes later, is trusted by later contexts only."""
    later = Authority.root("Later Root")
    ca = later.intermediate("CA of a later root")
    monkeypatch.setenv("SSL_CERT_FILE", str(trust.cafile))
    monkeypatch.setenv("SSL_CERT_DIR", str(hashed_directory(tmp_path / "directory", *trust.roots)))
    context = ssl.create_default_context()
    large_ca_file(tmp_path / "later.pem", later)
    if change == "variable":
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "later.pem"))
    elif change == "content":
        (tmp_path / "later.pem").replace(trust.cafile)
    else:
        monkeypatch.setenv("SSL_CERT_DIR", str(hashed_directory(tmp_path / "another", later)))
    with TLSServer(ca.leaf(), [ca]) as server:
        refused(server, context)
        if change != "directory":
            assert get(server, ssl.create_default_context()) == b"ok"
    assert get(trust.servers[0], context) == b"ok"


def test_an_environment_that_openssl_does_not_see(
    hook: None, trust: Trust, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL reads the process's environment, whatever a program puts in the place of `os.environ`."""
    hidden = Authority.root("Hidden Root")
    ca = hidden.intermediate("CA of a hidden root")
    cafile, folder = large_ca_file(tmp_path / "hidden.pem", hidden), hashed_directory(tmp_path / "hidden", hidden)
    monkeypatch.setenv("SSL_CERT_FILE", str(trust.cafile))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "nothing"))
    monkeypatch.setattr(os, "environ", {**os.environ, "SSL_CERT_FILE": str(cafile), "SSL_CERT_DIR": str(folder)})
    context = ssl.create_default_context()
    with TLSServer(ca.leaf(), [ca]) as server:
        refused(server, context)
    assert get(trust.servers[0], context) == b"ok"


def test_what_is_gone_from_a_directory(hook: None, trust: Trust, tmp_path: Path) -> None:
    """A context keeps what it once found in a directory; one that is made later finds it no more.

    The directory itself does not change: a link in it leads nowhere from then on.
    """
    root = Authority.root("Comes and goes")
    ca = root.intermediate("CA of a root that goes")
    folder = hashed_directory(tmp_path / "directory", root)
    target = (folder / "0.pem").rename(tmp_path / "elsewhere.pem")
    (folder / "0.pem").symlink_to(target)

    def new_context() -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(trust.cafile, folder)
        return context

    # OpenSSL refuses the second one, after it has looked for its root.
    namesake = Authority.root("Comes and goes").intermediate("CA of another root")
    with TLSServer(ca.leaf(), [ca]) as right, TLSServer(namesake.leaf(), [namesake]) as wrong:
        early = new_context()
        refused(wrong, early)
        assert get(right, early) == b"ok"
        target.unlink()
        refused(right, new_context())
        assert get(right, early) == b"ok"


def test_a_directory_holds_what_the_file_issued(hook: None, trust: Trust, tmp_path: Path) -> None:
    """The error tells of what is wrong with the whole chain."""
    ca = trust.roots[0].intermediate("CA in a directory")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags = ssl.VerifyFlags(FLAGS["flags of 3.11"])
    context.load_verify_locations(trust.cafile, hashed_directory(tmp_path / "directory", ca))
    with TLSServer(ca.leaf()) as right, TLSServer(ca.leaf(not_after=timedelta(hours=-1))) as expired:
        assert refused(expired, context) == "certificate has expired"
        assert get(right, context) == b"ok"


@flags_of
def test_trust_settings_in_a_directory_that_openssl_has_looked_into(
    hook: None, trust: Trust, tmp_path: Path, flags: int
) -> None:
    """OpenSSL then shows the certificate among all the others, without its settings."""
    root = Authority.root("Rejected")
    ca = root.intermediate("CA of a rejected root")
    folder = folder_of(tmp_path / "directory", trusted_pem(root, "-addreject", "serverAuth"))
    namesake = Authority.root("Rejected")
    with TLSServer(ca.leaf(), [ca]) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.verify_flags = ssl.VerifyFlags(flags)
        context.load_verify_locations(capath=folder)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        get(server, context)
        context.verify_mode, context.check_hostname = ssl.CERT_REQUIRED, True
        context.load_verify_locations(cadata=pem(namesake))
        assert len(_ssl._SSLContext.get_ca_certs(context)) == 2  # type: ignore[attr-defined]
        assert refused(server, context) == "certificate rejected"
