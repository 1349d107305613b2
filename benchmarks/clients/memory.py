"""Keep so many default contexts alive, and print the kilobytes that they take.

python memory.py COUNT
"""

import resource
import ssl
import sys


def resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


first = ssl.create_default_context()
before = resident()
contexts = [ssl.create_default_context() for _ in range(int(sys.argv[1]))]
print(max(1, resident() - before))
