"""A directory of anchors that can be entered but not listed works, because OpenSSL opens the files by name."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.conftest import FLAGS, MakeHierarchy, hashed_directory, run_python
from tests.inside.harm.conftest import MEET
from tests.support.servers import TLSServer

NOBODY = 65_534

VISITS = """
port, capath, flags = sys.argv[1], sys.argv[2], int(sys.argv[3])
try:
    os.listdir(capath)
except PermissionError:
    pass
else:
    sys.exit("the directory can be listed")
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.verify_flags = ssl.VerifyFlags(flags)
context.load_verify_locations(capath=capath)
print(json.dumps([meet(context, port) for _ in range(3)]))
"""


@pytest.mark.parametrize("hook", [True, False], ids=["hook", "plain"])
@pytest.mark.parametrize("sends", [0, 1])
def test_a_pinned_intermediate_in_an_unlistable_directory(
    store: Path, hierarchy: MakeHierarchy, tmp_path: Path, sends: int, hook: bool
) -> None:
    pki = hierarchy()
    capath = hashed_directory(tmp_path / "anchors", pki.intermediates[0])
    under = _without_the_rights_of_root(capath)
    capath.chmod(0o711)
    flags = FLAGS["flags of 3.13"]
    with TLSServer(pki.leaf, pki.intermediates[:sends]) as server:
        done = run_python(MEET + VISITS, server.port, capath, int(flags), hook=hook, under=under)
    assert (done.stdout, done.stderr) == ('["ok", "ok", "ok"]\n', "")


def _without_the_rights_of_root(capath: Path) -> list[str]:
    """The command under which even root may only search what is nobody's."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory to another user")
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not here")
    os.chown(capath, NOBODY, NOBODY)
    rights = "-dac_override,-dac_read_search"
    return ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}"]
