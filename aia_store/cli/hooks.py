"""The commands about the hook: for the interpreter that runs them, for others, or for all."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import click

from ..install import environments, everywhere, hook, watcher
from ..install.everywhere import Standing
from ..install.interpreters import Interpreter, InterpreterError
from .errors import say

_every_option = click.option(
    "--all", "every", is_flag=True, help="Every interpreter of the machine (for root) or of the user."
)
_python_option = click.option(
    "--python",
    "paths",
    multiple=True,
    metavar="PATH",
    type=click.Path(),
    help="This interpreter and its virtual environments; can be repeated, and added to --all.",
)


@click.group("hook")
def hook_command() -> None:
    """Install the hook for Python programs: of one environment, or of every interpreter and environment."""


@hook_command.command("install", short_help="Install the hook.")
@_every_option
@_python_option
def install_command(every: bool, paths: tuple[str, ...]) -> None:
    """Install the hook for the interpreter (or virtual environment) that runs this command.

    With --all or --python, it reaches interpreters and every virtual environment made from them, now and later. Nothing
    needs to be installed in those.
    """
    if not every and not paths:
        for path in hook.install():
            click.echo(f"wrote {path}")
        click.echo(f"programs of {sys.executable} complete chains from their next start on")
        return
    everywhere.refuse_unsafe()
    faults: list[object] = []
    for interpreter in _interpreters(every, paths, faults):
        standing = everywhere.install(interpreter)
        click.echo(_line(standing))
        for obstacle in standing.obstacles:
            say(f"{interpreter.python}: {obstacle}")
        if not standing.is_fine:
            faults.append(standing)
    _end(faults)


@hook_command.command("remove", short_help="Remove the hook.")
@_every_option
@_python_option
def remove_command(every: bool, paths: tuple[str, ...]) -> None:
    """Remove the hook; with --all or --python, every file becomes what it was."""
    faults: list[object] = []
    changed: list[str] = []
    if every or paths:
        for interpreter in _interpreters(every, paths, faults):
            try:
                changed += everywhere.remove(interpreter)
            except (hook.HookError, InterpreterError) as error:
                _note(error, faults)
    else:
        changed = hook.remove()
    for path in changed:
        click.echo(f"{'restored' if os.path.lexists(path) else 'removed'} {path}")
    if not changed and not faults:
        click.echo("there was no hook to remove")
    _end(faults)


@hook_command.command("status", short_help="Say whether the hook works.")
@_every_option
@_python_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def status_command(every: bool, paths: tuple[str, ...], as_json: bool) -> None:
    """Say whether the hook is installed and works; status 1 if not."""
    from . import output

    if every or paths:
        _status_of_many(every, paths, as_json=as_json)
        return
    found = hook.status()
    if as_json:
        output.print_json(found._asdict() | {"remedy": found.remedy})
    else:
        state = "active" if found.remedy is None else f"not active: {found.remedy}"
        output.print_table(["Interpreter", "Version", "Hook"], [[found.python, found.version, state]])
    _end([found.remedy] if found.remedy is not None else [])


@hook_command.command("path", short_help="Print the folder for PYTHONPATH.")
def path_command() -> None:
    """Print the folder to name in PYTHONPATH, so that every Python that inherits this variable has the hook.

    Where you cannot change any file, use: export PYTHONPATH=$(aia-store hook path)
    """
    click.echo(watcher.HOOKS)


def _interpreters(every: bool, paths: tuple[str, ...], faults: list[object]) -> Iterator[Interpreter]:
    """Yield each interpreter as it is found; if one fails, note its error."""
    for found in everywhere.interpreters(paths, usual=every):
        if isinstance(found, InterpreterError):
            _note(found, faults)
        else:
            yield found


def _note(fault: object, faults: list[object]) -> None:
    """Say on standard error what is wrong, and add it to the faults."""
    say(str(fault))
    faults.append(fault)


def _line(standing: Standing) -> str:
    found = standing.interpreter
    reached = "left alone" if standing.reached == everywhere.TOO_OLD else f"reached: {standing.reached}"
    notes = f" ({'; '.join(standing.notes)})" if standing.notes else ""
    return f"{found.python} {found.release} {reached}{notes}"


def _status_of_many(every: bool, paths: tuple[str, ...], *, as_json: bool) -> None:
    from . import output

    faults: list[object] = []
    standings: list[Standing] = []
    with output.progress("asking the interpreters") as step:
        for count, interpreter in enumerate(_interpreters(every, paths, faults), 1):
            step(count, count)
            try:
                standings.append(everywhere.status(interpreter))
            except InterpreterError as error:
                _note(error, faults)
    known = environments.find()
    found = [_as_json(standing, known) for standing in standings]
    if as_json:
        output.print_json(found)
    elif found:
        headings = ["Interpreter", "Version", "Reached", "By", "Environments", "In the way"]
        output.print_table(headings, list(map(_row, found)))
    for environment in known if every else ():
        if environment.is_orphan:
            lost = f"{environment.folder} has lost its interpreter ({environment.home}); make it again, or delete it"
            _note(lost, faults)
    for folder in everywhere.hiding():
        say(f"PYTHONPATH names {folder}, whose sitecustomize.py may hide the hook from programs of this shell")
    _end([*faults, *(standing for standing in standings if not standing.is_fine)])


def _row(found: dict[str, Any]) -> list[str]:
    by, names = "\n".join(found["by"]), "\n".join(found["environments"])
    in_the_way = "; ".join([*found["obstacles"], *found["notes"]])
    return [found["python"], found["version"], found["reached"], by, names, in_the_way]


def _as_json(standing: Standing, known: list[environments.Environment]) -> dict[str, Any]:
    return {
        "python": standing.interpreter.python,
        "version": standing.interpreter.release,
        "standard_library": standing.interpreter.stdlib,
        "reached": standing.reached,
        "by": standing.by,
        "environments": [environment.folder for environment in known if environment.is_of(standing.interpreter)],
        "obstacles": standing.obstacles,
        "notes": standing.notes,
        "is_fine": standing.is_fine,
    }


def _end(faults: Sequence[object]) -> None:
    if faults:
        raise click.exceptions.Exit(1)
