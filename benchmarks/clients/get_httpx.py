"""Get one URL with httpx.

python get_httpx.py URL
"""

import sys

import httpx

sys.exit(httpx.get(sys.argv[1]).content != b"ok")
