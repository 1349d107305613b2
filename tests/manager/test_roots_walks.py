"""Random histories of a machine's trust anchors: its bundle holds the system's, or stays what it was."""

from __future__ import annotations

import json
import os

import pytest

from tests.manager.system import System
from tests.support.pki import Authority
from tests.support.users import Users, require_users

#: AIA_STORE_TEST_WALKS=all walks ten thousand.
WALKS = 10_000 if os.environ.get("AIA_STORE_TEST_WALKS") == "all" else 300
WALK = "import sys; from pathlib import Path; from tests.manager.roots_walk import main; main({}, {}, Path({!r}))"


@pytest.mark.timeout(0)
def test_the_roots_are_never_silently_replaced() -> None:
    require_users()
    with Users({}) as users:
        System(users)
        anchors = [Authority.root(f"Walked Root {number}") for number in range(4)]
        folder = users.root / "var/cache/walk"
        folder.mkdir()
        (folder / "anchors").write_text("\n".join(anchor.pem for anchor in anchors))
        (folder / "certifi").write_text(Authority.root("Of certifi").pem)
        (folder / "intermediate").write_text(anchors[0].intermediate().pem)
        with users.start(0, WALK.format(0, WALKS, "/var/cache/walk")) as process:
            output, errors = process.communicate()
    assert process.returncode == 0, errors
    seen = json.loads(output)
    outcomes = {"the system's", "an error and the last bundle", "an error", "certifi's"}
    changes = {"replace", "empty", "cut", "remove", "lead_nowhere", "toggle_certifi", "age"}
    assert outcomes | changes | {"by_bundle", "by_refresh", "by_daemon"} <= seen.keys()
