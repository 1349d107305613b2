"""A process that calls functions on command: it reads their names and arguments, and writes what they return."""

from __future__ import annotations

import os
import pickle
import sys
import traceback


def main() -> None:
    """Until standard input ends. What is printed goes to standard error, the answers to what was standard output."""
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)
        while True:
            try:
                number, function, arguments, environment = pickle.load(sys.stdin.buffer)
            except EOFError:
                return
            os.environ.clear()
            os.environ.update(environment)
            try:
                answer = number, True, function(*arguments)
            except Exception:
                answer = number, False, traceback.format_exc()
            pickle.dump(answer, answers, protocol=4)
            answers.flush()
