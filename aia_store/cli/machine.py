"""The commands about this machine: bundle, env, status, selftest."""

from __future__ import annotations

import click

from ..inside import settings as config
from ..install import shells
from ..manager import metrics
from ..manager.published import FILE, FOLDER
from .files import appearing
from .quick import print_bundle, print_exactly, usable_bundle

_MARKS = {"ok": ("ok", "green"), "hint": ("-", "dim"), "problem": ("!", "bold yellow")}


@click.command("bundle")
@click.option("--folder", "as_folder", is_flag=True, help="Print the path of the trust folder instead.")
@click.option("--rebuild", is_flag=True, help="Build the bundle even if it is fresh.")
def bundle_command(as_folder: bool, rebuild: bool) -> None:
    """Print the path of the merged CA bundle, building it first if it is missing or stale.

    For a shell's start-up file: export SSL_CERT_FILE=$(aia-store bundle)

    With --folder, print the path of the trust folder: a hashed folder that also holds what was preloaded, and in which
    OpenSSL reads only what a chain names. From then on, it is kept up to date with the bundle.
    """
    raise click.exceptions.Exit(print_bundle(FOLDER if as_folder else FILE, rebuild=rebuild))


@click.command("env")
@click.option(
    "--shell",
    type=click.Choice([*shells.SHELLS, *shells.KIN]),
    metavar="SHELL",
    help=f"The shell to print lines for, by default that of $SHELL: {', '.join([*shells.SHELLS, *shells.KIN])}.",
)
@click.option("--folder", "with_folder", is_flag=True, help="Point tools at the trust folder if they gain by it.")
@click.option("--unset", is_flag=True, help="Print the lines that unset the variables.")
def env_command(shell: str | None, with_folder: bool, unset: bool) -> None:
    """Print the shell lines that point every tool on the machine at the bundle: eval "$(aia-store env)".

    With --folder, tools that look a chain's certificates up by name get the trust folder, the others the file.
    """
    kind = shells.KIN.get(shell, shell) if shell else shells.current_shell()
    if unset:
        if with_folder:
            raise click.UsageError("--unset unsets the variables of both forms; leave out --folder")
        click.echo(shells.lines(shells.no_variables(), kind), nl=False)
        return
    settings = config.load()
    folder, status_of_folder = usable_bundle(settings, FOLDER) if with_folder else (None, 0)
    file, status = usable_bundle(settings)
    print_exactly(shells.lines(shells.variables(file, folder), kind))
    raise click.exceptions.Exit(max(status, status_of_folder))


@click.command("status")
@click.option(
    "--prometheus",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Also write metrics here, for the node exporter's textfile collector.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def status_command(prometheus: str | None, as_json: bool) -> None:
    """Say whether everything is in place on this machine, and if not, what to do.

    The status is 1 if there is a problem (!), but not for a hint (-).
    """
    from rich.text import Text

    from . import output
    from .owner import as_owner
    from .status import hook, survey

    aspects = [hook(config.load())]  # as the calling user: the service user may not see root's interpreters
    with as_owner():
        settings = config.load()
        aspects += survey(settings)
        measured = metrics.measure(settings) if prometheus is not None else None
    if prometheus is not None and measured is not None:
        with appearing(prometheus) as file:
            file.write(metrics.exposition(measured))
    if as_json:
        output.print_json([aspect._asdict() for aspect in aspects])
    else:
        rows = [
            (Text(*_MARKS[one.level]), one.name, output.harmless(one.state), output.harmless(one.remedy or ""))
            for one in aspects
        ]
        output.print_table(["", "", "State", "What to do"], rows)
    if any(aspect.level == "problem" for aspect in aspects):
        raise click.exceptions.Exit(1)


@click.command("selftest")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def selftest_command(as_json: bool) -> None:
    """Show on this machine, without the internet, that a broken server is refused, and works with the hook."""
    from rich.text import Text

    from . import output, selftest

    steps = []
    for step in selftest.run():
        steps.append(step)
        if not as_json:
            mark, style = {True: ("ok", "green"), False: ("failed", "bold red"), None: ("skipped", "dim")}[step.passed]
            output.console().print(Text.assemble((f"{mark:8}", style), step.title))
            output.console().print(Text(f"{'':8}{output.harmless(step.detail)}", style="dim"))
    if as_json:
        output.print_json([step._asdict() for step in steps])
    passed = all(step.passed is not False for step in steps)
    if not as_json:
        click.echo("It works here." if passed else "Something is wrong here; the lines above say what.")
    if not passed:
        raise click.exceptions.Exit(1)
