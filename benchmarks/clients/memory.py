"""Keep so many default contexts alive, and print the kilobytes that they take.

python memory.py COUNT
"""

import os
import ssl
import sys


def resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


first = ssl.create_default_context()
before = resident()
contexts = [ssl.create_default_context() for _ in range(int(sys.argv[1]))]
print(resident() - before)
