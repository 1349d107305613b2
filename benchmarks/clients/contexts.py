"""Make so many default contexts, and print the milliseconds that they took together.

python contexts.py COUNT
"""

import ssl
import sys
import time

start = time.perf_counter()
for _ in range(int(sys.argv[1])):
    ssl.create_default_context()
print((time.perf_counter() - start) * 1000)
