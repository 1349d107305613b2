import sys

import httplib2

print(httplib2.Http(ca_certs=sys.argv[2], timeout=30).request(f"https://localhost:{sys.argv[1]}/")[1].decode())
