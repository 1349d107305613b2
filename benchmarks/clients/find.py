"""Look names up in a store folder and print the microseconds that one look takes.

    python find.py FOLDER NAMES TIMES

NAMES is a file with one canonical subject name a line, in hexadecimal; every name must be found.
"""

import sys
import time

from aia_store.inside.store import Folder, IntermediateStore

folder, names, times = sys.argv[1:]
with open(names, encoding="ascii") as file:
    keys = [bytes.fromhex(line) for line in file] * int(times)
store = IntermediateStore([Folder(folder)])
start = time.perf_counter()
found = sum(len(store.find(key)) for key in keys)
print((time.perf_counter() - start) * 1e6 / len(keys))
sys.exit(found != len(keys))
