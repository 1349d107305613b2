"""Write the certificates that `inside` needs into a folder: a root, and three intermediates below it."""

import sys
from pathlib import Path

from tests.support.pki import Authority

folder = Path(sys.argv[1])
root = Authority.root("Given Root")
(folder / "root.pem").write_text(root.pem)
for name in ("one", "two", "three"):
    (folder / f"{name}.pem").write_text(root.intermediate(f"Given {name}").pem)
