import ssl
import sys

import httpx

context = ssl.create_default_context(cafile=sys.argv[2])
print(httpx.get(f"https://localhost:{sys.argv[1]}/", verify=context, timeout=30).text)
