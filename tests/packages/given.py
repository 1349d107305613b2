"""Write what the machine serves into a folder: a root, an intermediate, and a leaf with its key for the server."""

import sys
from pathlib import Path

from tests.support.pki import Authority

folder = Path(sys.argv[1])
root = Authority.root("Given Root")
intermediate = root.intermediate("Given Intermediate")
leaf = intermediate.leaf(aia=["http://127.0.0.1:8080/intermediate.crt"])
(folder / "root.pem").write_text(root.pem)
(folder / "intermediate.crt").write_bytes(intermediate.der)
(folder / "intermediate.pem").write_text(intermediate.pem)
(folder / "leaf.pem").write_text(leaf.pem + leaf.key_pem)
(folder / "whole.pem").write_text(leaf.pem + intermediate.pem + leaf.key_pem)
