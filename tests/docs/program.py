"""The Python blocks of a page as one program: each continues after the previous one.

For each block, it reads a line of JSON from standard input, [file, line, text], runs it, and prints the line "done";
if a block raises, it ends with the traceback, which names the page and the line. `await` works outside functions.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import sys

DONE = "done"
FLAGS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT  # to compile with


def main() -> None:
    """Run the blocks."""
    names = {"__name__": "__main__"}
    loop = asyncio.new_event_loop()  # Python 3.10 has no asyncio.Runner
    for block in sys.stdin:
        file, line, text = json.loads(block)
        code = compile("\n" * (line - 1) + text, file, "exec", flags=FLAGS)
        if code.co_flags & inspect.CO_COROUTINE:
            loop.run_until_complete(eval(code, names))
        else:
            exec(code, names)
        print(DONE, flush=True)
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


if __name__ == "__main__":
    main()
