"""Download one URL and print the megabytes per second, from the request to the last byte.

python download.py URL BYTES
"""

import sys
import time
import urllib.request

url, size = sys.argv[1], int(sys.argv[2])
left = size
start = time.perf_counter()
with urllib.request.urlopen(url) as response:
    while piece := response.read(1 << 16):
        left -= len(piece)
print(size / 1e6 / (time.perf_counter() - start))
sys.exit(left != 0)
