"""Get one URL with requests.

python get_requests.py URL
"""

import sys

import requests

sys.exit(requests.get(sys.argv[1], timeout=30).content != b"ok")
