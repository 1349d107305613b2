"""A program that knows nothing of us: get one URL, verified.

python get.py URL
"""

import sys
import urllib.request

with urllib.request.urlopen(sys.argv[1]) as response:
    sys.exit(response.read() != b"ok")
