"""Machines that live for minutes: what was pulled into an image, or is mounted read-only, serves without writing."""

from __future__ import annotations

import os
import shutil
import sys

import pytest

from tests.manager.machine import COMMAND, HOOKED, snapshot
from tests.manager.share.conftest import Join
from tests.manager.share.engines import Engine
from tests.manager.share.test_bad_input import publish
from tests.support.pki import Authority
from tests.support.servers import AIAHost, TLSServer

#: Runs a command where this folder can only be read.
_READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="mounting needs root and unshare")
def test_a_store_that_is_mounted_read_only_serves_programs(
    shelf: Engine, join: Join, public: Authority, aia: AIAHost
) -> None:
    issuer = public.intermediate()
    leaf = issuer.leaf(aia=[aia.publish("/issuer.cer", issuer.der)])
    publish(shelf, issuer)
    image = join("image", shelf)
    assert image.json("share", "pull")["taken"] == 1
    before = snapshot(image.store)
    inside = ["unshare", "-m", "sh", "-c", _READ_ONLY, image.store]
    with TLSServer(leaf) as server:
        for _ in range(2):
            done = image.execute(*inside, sys.executable, "-c", HOOKED, server.port, image.roots)
            assert (done.returncode, done.stderr) == (0, "")
    assert aia.count() == 0
    done = image.execute(*inside, *COMMAND, "share", "pull")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done
    assert snapshot(image.store) == before


def test_a_pull_hands_nothing_in(shelf: Engine, join: Join, public: Authority) -> None:
    machine = join("machine", shelf)
    machine.plant(public.intermediate())
    machine.json("share", "pull", AIA_STORE_SHARE_PUBLISH="1")
    assert shelf.names("in") | shelf.names("out") == set()
