import os
import subprocess
import sys

# The modules `uri` and `get_url`, each of which ansible runs in a Python process of its own.
ansible = os.path.join(os.path.dirname(sys.executable), "ansible")
here = ["localhost", "-i", "localhost,", "-c", "local", "-e", f"ansible_python_interpreter={sys.executable}"]
asked = f"url=https://localhost:{sys.argv[1]}/ use_proxy=no"
os.environ["SSL_CERT_FILE"] = sys.argv[2]
for module, more in {"uri": "", "get_url": f" dest={os.environ['HOME']}/fetched"}.items():
    command = [ansible, *here, "-m", module, "-a", asked + more]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stdout)
print("ok")
