import sys

import niquests

print(niquests.get(f"https://localhost:{sys.argv[1]}/", verify=sys.argv[2], timeout=30).text)
