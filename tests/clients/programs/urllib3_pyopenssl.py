import sys

import urllib3
import urllib3.contrib.pyopenssl

urllib3.contrib.pyopenssl.inject_into_urllib3()
pool = urllib3.PoolManager(ca_certs=sys.argv[2], cert_reqs="CERT_REQUIRED")
print(pool.request("GET", f"https://localhost:{sys.argv[1]}/", retries=False).data.decode())
