"""Machines of several users share over a folder that lets them write, as docs/fleet.md says."""

from __future__ import annotations

import json
from typing import Any

from tests.manager.machine import fingerprint
from tests.support.pki import Authority
from tests.support.users import Users, require_users

PLANT = """
import sys
from aia_store.inside import settings
from aia_store.inside.certificate import Certificate
from aia_store.inside.store import Folder
Folder(settings.load().dir).keep(Certificate(bytes.fromhex(sys.argv[1])))
"""
COMMAND = """
import sys
sys.argv[0] = "aia-store"
from aia_store.cli import main
sys.exit(main())
"""


def test_three_users_share_over_a_folder() -> None:
    require_users()
    root = Authority.root()
    issuer = root.intermediate()
    environment = {"AIA_STORE_SHARE": "file:///var/cache/shelf", "AIA_STORE_ROOTS": "/var/cache/roots.pem"}
    with Users({**environment, "AIA_STORE_SHARE_PRIVATE": "1"}) as users:
        cache = users.root / "var/cache"
        (cache / "roots.pem").write_text(root.pem)
        for name, mode in (("shelf", 0o755), ("shelf/in", 0o1777)):
            (cache / name).mkdir()
            (cache / name).chmod(mode)

        def run(user: int, *arguments: str) -> Any:
            store = f"/var/cache/home-{user}/store"
            return json.loads(users.run(user, COMMAND, *arguments, "--json", AIA_STORE_DIR=store))

        for user in (1001, 1002):
            users.run(user, PLANT, issuer.der.hex(), AIA_STORE_DIR=f"/var/cache/home-{user}/store")
            shared = run(user, "refresh")["shared"]
            assert (shared["handed_in"], shared["notes"]) == (1, []), "the second may not replace the first one's file"
        assert [path.name for path in (cache / "shelf/in").iterdir()] == [f"{fingerprint(issuer)}.der"]
        assert run(0, "share", "publish")["published"]["total"] == 1
        pulled = run(1003, "share", "pull")
        assert (pulled["taken"], pulled["notes"]) == (1, [])
