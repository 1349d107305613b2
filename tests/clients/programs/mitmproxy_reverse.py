import os
import re
import subprocess
import sys
import urllib.request

# A reverse proxy, asked over plain http: the proxy is what connects to the server.
mitmdump = os.path.join(os.path.dirname(sys.executable), "mitmdump")
command = [mitmdump, "--mode", f"reverse:https://localhost:{sys.argv[1]}/", "--listen-host", "127.0.0.1", "-p", "0"]
for option in (f"ssl_verify_upstream_trusted_ca={sys.argv[2]}", f"confdir={os.environ['HOME']}/mitmproxy"):
    command += ["--set", option]
unbuffered = dict(os.environ, PYTHONUNBUFFERED="1")
with subprocess.Popen(command, env=unbuffered, stdout=subprocess.PIPE, text=True) as proxy:
    try:
        port = next(found[1] for line in proxy.stdout if (found := re.search(r"listening at \S+:(\d+)", line)))
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        print(opener.open(f"http://127.0.0.1:{port}/", timeout=30).read().decode())
    finally:
        proxy.terminate()
