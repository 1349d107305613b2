"""Run a client's program once for each server, all in this process, and print how each run failed, as JSON.

`run_refused.py PROGRAM`, with a list of [port, CA file, variables] on standard input. Runs with the client's Python.
"""

import json
import os
import runpy
import ssl
import sys
import traceback


def causes(error):
    """An error, and all that led to it."""
    seen = []
    queue = [error]
    while queue:
        found = queue.pop()
        if isinstance(found, BaseException) and found not in seen:
            seen.append(found)
            queue += [found.__cause__, found.__context__, *getattr(found, "exceptions", ())]
    return seen


def failure(program, port, cafile, variables):
    """How the program fails: what its user sees, and the error of `ssl` in it."""
    sys.argv[1:] = [str(port), cafile]
    os.environ.update(variables)
    try:
        runpy.run_path(program, run_name="__main__")
    except Exception as error:
        refusals = [found for found in causes(error) if isinstance(found, ssl.SSLCertVerificationError)]
        refusal = refusals[-1] if refusals else error
        return {
            "traceback": "".join(traceback.format_exception(error)),
            "error": [type(refusal).__name__, str(refusal), repr(refusal.args), refusal.errno],
            "notes": getattr(refusal, "__notes__", []),
        }
    finally:
        for name in variables:
            os.environ[name] = BEFORE.get(name, "")
    return None


BEFORE = dict(os.environ)
PROGRAM = sys.argv[1]
answers = [failure(PROGRAM, *case) for case in json.load(sys.stdin)]
json.dump(answers, sys.__stdout__)
