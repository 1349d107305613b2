import sys

import requests

print(requests.get(f"https://localhost:{sys.argv[1]}/", verify=sys.argv[2], timeout=30).text)
