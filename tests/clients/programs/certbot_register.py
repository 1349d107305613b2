import os
import sys
import tempfile

from certbot import main

os.environ["REQUESTS_CA_BUNDLE"] = sys.argv[2]
with tempfile.TemporaryDirectory() as folder:
    folders = [f"--{kind}-dir={folder}/{kind}" for kind in ("config", "work", "logs")]
    server = f"--server=https://localhost:{sys.argv[1]}/directory"
    main.main(["register", "--quiet", "--agree-tos", "--register-unsafely-without-email", server, *folders])
print("ok")
