"""Several interpreters of one process, each with threads and a lock of its own, do not crash each other."""

from __future__ import annotations

import sys

import pytest

from tests.inside.harm.conftest import MEET, Sites, answer

INTERPRETERS = """
import threading
import _interpreters

ports, cafile, meet_all = sys.argv[1:4]
path = tuple(sys.path)
failures = []

def run():
    interpreter = _interpreters.create()
    failures.append(_interpreters.exec(interpreter, meet_all, {"path": path, "ports": ports, "cafile": cafile}))
    _interpreters.destroy(interpreter)

threads = [threading.Thread(target=run) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps([repr(failure) for failure in failures]))
"""

MEET_ALL = f"""
import sys
sys.path[:] = path
import aia_store.inside.startup
aia_store.inside.startup.attach()
{MEET}
for _ in range(3):
    context = ssl.create_default_context(cafile=cafile)
    assert [meet(context, port) for port in json.loads(ports).values()][0] == "ok"
"""


@pytest.mark.skipif(sys.version_info < (3, 13), reason="plain Python 3.12 dies of it")
def test_at_once(sites: Sites) -> None:
    assert answer(INTERPRETERS, sites.ports, sites.large_cafile, MEET_ALL) == ["None"] * 6
