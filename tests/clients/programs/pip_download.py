import os
import subprocess
import sys
import tempfile

with tempfile.TemporaryDirectory() as folder:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--retries", "0"]
    index = ["--index-url", f"https://localhost:{sys.argv[1]}/simple/", "--cert", sys.argv[2]]
    done = subprocess.run(
        [*command, *index, "--dest", folder, "demo"],
        env={**os.environ, "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        stdout=sys.stderr,
        check=False,
    )
    assert done.returncode == 0
    assert os.listdir(folder) == ["demo-1.0-py3-none-any.whl"]
print("ok")
