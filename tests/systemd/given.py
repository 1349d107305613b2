"""Write into a folder what `inside` needs: the documents' commands, and certificates (a root, three intermediates)."""

import sys
from pathlib import Path

from tests.docs.blocks import named
from tests.support.pki import Authority

DOCUMENTED = {
    "installation": "install.md: sudo python3 -m venv /opt/aia-store",
    "units": "operations.md: install -D -m 644 -t /usr/lib/sysusers.d",
    "service": "operations.md: systemd-sysusers",
    "hook": "operations.md: install -D -m 755 -t /etc/ca-certificates/update.d",
}

folder = Path(sys.argv[1])
for name, beginning in DOCUMENTED.items():
    (folder / f"{name}.sh").write_text(named(beginning).commands)
root = Authority.root("Given Root")
(folder / "root.pem").write_text(root.pem)
for name in ("one", "two", "three"):
    (folder / f"{name}.pem").write_text(root.intermediate(f"Given {name}").pem)
