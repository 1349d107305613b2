"""Two threads with one context: while one of them asks what it holds, the other loads its deferred CA file."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import pytest

from aia_store.inside import cafile
from aia_store.inside.contexts import Terms, made
from aia_store.inside.trusted import Given
from tests.inside.harm.conftest import Sites, size


@pytest.fixture(autouse=True)
def threads_switch_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_no_anchor_is_lost(sites: Sites) -> None:
    file = cafile.of(str(sites.pki.cafile))
    assert file is not None
    for _ in range(size(3000, 30000)):
        context, given = made(Terms(0, None), ()), Given(is_complete=True)
        given.deferred = (file,)
        start = threading.Barrier(2)

        def load() -> None:
            start.wait()  # noqa: B023
            given.load_deferred(context)  # noqa: B023

        other = threading.Thread(target=load)
        other.start()
        start.wait()
        given.look(context)
        other.join()
        assert {der for listed in given.lists for der in listed.ders} == set(file.ders)
        assert given.is_plain
