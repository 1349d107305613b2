"""A real terminal (a pty) for the command, and what a person sees on it at the end."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Sequence

import pyte

from tests.manager.machine import COMMAND, SECONDS, Machine

CTRL_C = "\x03"
ROWS = 40

#: Makes its input the terminal of its session, so that Ctrl-C reaches it, and becomes another program.
_TAKE_THE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def on_terminal(
    machine: Machine,
    *arguments: object,
    command: Sequence[str] = COMMAND,
    keys: str = "",
    columns: int = 80,
    **variables: str | None,
) -> tuple[int, str]:
    """Run `aia-store`, or another command, on a terminal, and type these keys once it shows `]:`, as it does when it
    asks something; its status and all it showed."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", _TAKE_THE_TERMINAL, *command, *map(str, arguments)],
        env=machine.with_variables({"TERM": "xterm-256color", **variables}),
        cwd=machine.folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    watchdog = threading.Timer(SECONDS, process.kill)
    watchdog.start()
    shown = b""
    impatient: list[threading.Timer] = []

    def press_again(key: str) -> None:
        # Python may miss an interrupt that comes just before it begins to read its input, until the next one.
        while key == CTRL_C and process.poll() is None:
            process.send_signal(signal.SIGINT)
            time.sleep(0.5)

    with process, contextlib.suppress(OSError):  # raised by a read once the other end is closed
        while piece := os.read(ours, 65_536):
            shown += piece
            if keys and b"]:" in shown:
                os.write(ours, keys.encode())
                impatient.append(threading.Timer(1, press_again, [keys]))
                impatient[0].start()
                keys = ""
    for timer in (watchdog, *impatient):
        timer.cancel()
    os.close(ours)
    return process.returncode, shown.decode().replace("\r\n", "\n")


def screen(output: str, columns: int) -> list[str]:
    """The lines that a terminal shows at the end of this output, those that were scrolled away included."""
    terminal = pyte.HistoryScreen(columns, ROWS, history=10_000)
    pyte.Stream(terminal).feed(output.replace("\n", "\r\n"))
    above = ["".join(line[column].data for column in range(columns)) for line in terminal.history.top]
    return [line.rstrip() for line in [*above, *terminal.display] if line.strip()]
