"""The commands about the hook: for the interpreter that runs them, for others, or for all."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import click

from ..install import environments, everywhere, hook, watcher
from ..install.everywhere import Standing
from ..install.interpreters import Interpreter, InterpreterError
from .errors import say

_LEFT_ALONE = "left alone"


def _which(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that select interpreters."""
    command = click.option(
        "--python",
        "paths",
        multiple=True,
        metavar="PATH",
        type=click.Path(),
        help="This interpreter and its virtual environments; can be repeated, and added to --all.",
    )(command)
    return click.option(
        "--all", "every", is_flag=True, help="Every interpreter of the machine (for root) or of the user."
    )(command)


@click.group("hook")
def hook_command() -> None:
    """Install the hook for Python programs: of one environment, or of every interpreter and environment."""


@hook_command.command("install", short_help="Install the hook.")
@_which
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
    failed = False
    for found in _interpreters(every, paths):
        standing = everywhere.install(found) if not isinstance(found, InterpreterError) else None
        if standing is None:
            failed = True
            continue
        click.echo(_line(standing))
        failed |= _complain(standing)
    _end(failed)


@hook_command.command("remove", short_help="Remove the hook.")
@_which
def remove_command(every: bool, paths: tuple[str, ...]) -> None:
    """Remove the hook; with --all or --python, every file becomes what it was."""
    failed = False
    changed: list[str] = []
    if every or paths:
        for found in _interpreters(every, paths):
            try:
                changed += [] if isinstance(found, InterpreterError) else everywhere.remove(found)
            except (hook.HookError, InterpreterError) as error:
                say(str(error))
                failed = True
            failed |= isinstance(found, InterpreterError)
    else:
        changed = hook.remove()
    for path in changed:
        click.echo(f"{'restored' if os.path.lexists(path) else 'removed'} {path}")
    if not changed and not failed:
        click.echo("there was no hook to remove")
    _end(failed)


@hook_command.command("status", short_help="Say whether the hook works.")
@_which
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
    _end(found.remedy is not None)


@hook_command.command("path", short_help="Print the folder for PYTHONPATH.")
def path_command() -> None:
    """Print the folder to name in PYTHONPATH, so that every Python that inherits this variable has the hook.

    Where you cannot change any file, use: export PYTHONPATH=$(aia-store hook path)
    """
    click.echo(watcher.HOOKS)


def _interpreters(every: bool, paths: tuple[str, ...]) -> Iterator[Interpreter | InterpreterError]:
    """Yield each interpreter as it is found; if one fails, a line on standard error says so."""
    for found in everywhere.interpreters(paths, usual=every):
        if isinstance(found, InterpreterError):
            say(str(found))
        yield found


def _line(standing: Standing) -> str:
    found = standing.interpreter
    reached = _LEFT_ALONE if standing.reached == everywhere.TOO_OLD else f"reached: {standing.reached}"
    notes = f" ({'; '.join(standing.notes)})" if standing.notes else ""
    return f"{found.python} {found.release} {reached}{notes}"


def _complain(standing: Standing) -> bool:
    for obstacle in standing.obstacles:
        say(f"{standing.interpreter.python}: {obstacle}")
    return not standing.is_fine


def _status_of_many(every: bool, paths: tuple[str, ...], *, as_json: bool) -> None:
    from . import output

    failed = False
    found: list[Standing] = []
    with output.progress("asking the interpreters") as step:
        for count, interpreter in enumerate(_interpreters(every, paths), 1):
            step(count, count)
            if isinstance(interpreter, InterpreterError):
                failed = True
                continue
            try:
                found.append(everywhere.status(interpreter))
            except InterpreterError as error:
                say(str(error))
                failed = True
    known = environments.find()
    of = {
        one.interpreter.stdlib: [environment for environment in known if environment.is_of(one.interpreter)]
        for one in found
    }
    if as_json:
        output.print_json([_as_json(standing, of[standing.interpreter.stdlib]) for standing in found])
    elif found:
        headings = ["Interpreter", "Version", "Reached", "By", "Environments", "In the way"]
        output.print_table(headings, [_row(standing, of[standing.interpreter.stdlib]) for standing in found])
    if every:
        for environment in known:
            if environment.is_orphan:
                say(f"{environment.folder} has lost its interpreter ({environment.home}); make it again, or delete it")
                failed = True
    for folder in everywhere.hiding():
        say(f"PYTHONPATH names {folder}, whose sitecustomize.py may hide the hook from programs of this shell")
    _end(failed or not all(standing.is_fine for standing in found))


def _row(standing: Standing, of: list[environments.Environment]) -> list[Any]:
    found = standing.interpreter
    in_the_way = "; ".join([*standing.obstacles, *standing.notes])
    names = "\n".join(environment.folder for environment in of)
    return [found.python, found.release, standing.reached, "\n".join(standing.by), names, in_the_way]


def _as_json(standing: Standing, of: list[environments.Environment]) -> dict[str, Any]:
    return {
        "python": standing.interpreter.python,
        "version": standing.interpreter.release,
        "standard_library": standing.interpreter.stdlib,
        "reached": standing.reached,
        "by": standing.by,
        "environments": [environment.folder for environment in of],
        "obstacles": standing.obstacles,
        "notes": standing.notes,
        "is_fine": standing.is_fine,
    }


def _end(failed: bool) -> None:
    if failed:
        raise click.exceptions.Exit(1)
