# ruff: noqa: E402  # what is patched is imported after that
import eventlet

eventlet.monkey_patch()

import ssl
import sys
import urllib.request

context = ssl.create_default_context(cafile=sys.argv[2])
print(urllib.request.urlopen(f"https://localhost:{sys.argv[1]}/", timeout=30, context=context).read().decode())
