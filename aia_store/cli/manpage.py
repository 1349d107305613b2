"""The commands man and completion: the man page and the completions of shells, which are made from the commands."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator

import click
from click.shell_completion import get_completion_class

from ..version import __version__
from .commands import cli

_NAME = "aia-store"
_SHELLS = ("bash", "zsh", "fish")
_EXAMPLES = [
    ("aia-store check www.example.org", "What does this server send, and what is missing?"),
    ("aia-store check /etc/letsencrypt/live", "What will servers send that use these certificate files?"),
    ("aia-store check --file hosts.txt --expiry-days 21 --quiet", "Are all of these in order, for three more weeks?"),
    ("sudo aia-store hook install --all", "Complete the chains of every Python program on this machine."),
    ("export SSL_CERT_FILE=$(aia-store bundle)", "Point this shell's programs at the bundle."),
    ("aia-store add www.example.org", "Learn what this server leaves out, so that the bundle contains it."),
    ("aia-store status", "Is everything in place? If not, what is to be done?"),
]
#: Each setting as an environment variable, with its value if only one value has an effect, and what it is for.
SETTINGS = {
    "AIA_STORE_DIR": "the store's folder; by default the user's cache folder, and for root the machine's "
    "(`/var/cache/aia-store`)",
    "AIA_STORE_ROOTS": "a PEM file of trust anchors to use instead of the system's; without this setting, certifi's "
    "are used if the system has none",
    "AIA_STORE_EXTRA_ROOTS": "a PEM file, or a folder of PEM files, of trust anchors to add to the others, such as a "
    "company's",
    "AIA_STORE_ALLOWED_NETWORKS": "networks (CIDR, comma-separated) that a fetch may reach besides public addresses",
    "AIA_STORE_PROXY": "the proxy for all connections: the URL of an HTTP proxy, or `none`; by default `environment`, "
    "which means the variables `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`",
    "AIA_STORE_OFFLINE=1": "use what is on disk, and fetch nothing",
    "AIA_STORE_DISABLE=1": "the hook does nothing",
    "AIA_STORE_ASYNC_BUDGET": "how many seconds the fetches of a handshake may take under a running asyncio loop; by "
    "default 2",
    "AIA_STORE_TRUST_ON_DEMAND=0": "load all trust anchors of a large CA file at once, as Python does without the hook",
    "AIA_STORE_EXPLAIN=0": "add no note to the error of a refused chain",
    "AIA_STORE_UNUSED_DAYS": "after how many days without use `refresh` drops an intermediate; by default 90",
    "AIA_STORE_REFRESH_HOURS": "how many hours lie between two refreshes of the daemon; by default 24",
    "AIA_STORE_REVOCATION_LISTS": "revocation lists, as comma-separated files or URLs: Mozilla's OneCRL (JSON), the "
    "CCADB's report of revoked intermediates (CSV)",
    "AIA_STORE_SHARE": "the shelf, a folder through which machines share intermediates: an `s3`, `gs`, `az` or `file` "
    "URL, or an `https` URL to read only",
    "AIA_STORE_SHARE_PUBLISH=1": "this machine is a hub: it verifies what other machines hand in, and publishes it",
    "AIA_STORE_SHARE_PRIVATE=1": "also share intermediates that lead only to a private root, such as a company's, "
    "which this machine trusts",
    "AIA_STORE_SHARE_NOTIFY": "the stream that tells all machines at once what one of them has learned: a `valkey` or "
    "`redis` URL",
    "AIA_STORE_LOG=debug": "the hook reports on standard error what it does",
}
_FILES = [
    ("/etc/xdg/aia-store/config.toml", "The settings of the site."),
    ("~/.config/aia-store/config.toml", "The settings of the user, which override those of the site."),
    ("/var/cache/aia-store", "The site's store, which root keeps for all users."),
    ("~/.cache/aia-store", "The user's store."),
    ("bundle.pem", "In a store: the bundle, made by `aia-store bundle`."),
    ("trust", "In a store: the trust folder, made by `aia-store bundle --folder`."),
]
_STATUS = [
    ("0", "All is well."),
    ("1", "Something is wrong: a chain is not complete, a part is not in place, or an error occurred."),
    ("2", "The command was used wrongly, or `check` could not tell."),
]


@click.command("man")
def man_command() -> None:
    """Print the man page: aia-store man | man -l -

    To install it: aia-store man > ~/.local/share/man/man1/aia-store.1
    """
    click.echo(page(), nl=False)


@click.command("completion")
@click.argument("shell", type=click.Choice(_SHELLS))
def completion_command(shell: str) -> None:
    """Print the script for TAB completion in a shell.

    To install it for bash: aia-store completion bash > ~/.local/share/bash-completion/completions/aia-store
    """
    kind = get_completion_class(shell)
    assert kind is not None  # click knows all of _SHELLS
    click.echo(kind(cli, {}, _NAME, "_AIA_STORE_COMPLETE").source())


def page() -> str:
    """The man page, in the man macros of troff.

    Its date comes from SOURCE_DATE_EPOCH, which package builders set (reproducible-builds.org), or is today's.
    """
    day = time.strftime("%Y-%m-%d", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))))
    return "\n".join([f'.TH AIA\\-STORE 1 "{day}" "aia-store {__version__}" "User Commands"', *_sections(), ""])


def _sections() -> Iterator[str]:
    context = click.Context(cli, info_name=_NAME, **cli.context_settings)
    summary, *paragraphs = _paragraphs(cli)
    yield f".SH NAME\n{_text(_NAME)} \\- {_text(_as_phrase(summary))}"
    yield f".SH SYNOPSIS\n{_synopsis(cli, context)}"
    yield ".SH DESCRIPTION"
    yield "\n.PP\n".join(_text(paragraph) for paragraph in paragraphs)
    yield from _options(cli, context)
    yield ".SH COMMANDS"
    yield from _commands(cli, context)
    yield ".SH EXAMPLES"
    yield from (f".TP\n.B {_text(command)}\n{_text(about)}" for command, about in _EXAMPLES)
    yield ".SH EXIT STATUS"
    yield from (f".TP\n.B {status}\n{_text(about)}" for status, about in _STATUS)
    yield ".SH ENVIRONMENT\nEach is also a key of the configuration files, in lower case and without the prefix."
    yield from (f".TP\n.B {_text(setting)}\n{_text(about)}" for setting, about in SETTINGS.items())
    yield ".SH FILES"
    yield from (f".TP\n.I {_text(file)}\n{_text(about)}" for file, about in _FILES)


def _commands(group: click.Group, context: click.Context) -> Iterator[str]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        inner = click.Context(command, context, info_name=name)
        yield f".SS {_text(inner.command_path)}\n{_synopsis(command, inner)}\n.PP"
        yield "\n.PP\n".join(_text(paragraph) for paragraph in _paragraphs(command))
        yield from _options(command, inner)
        if isinstance(command, click.Group):
            yield from _commands(command, inner)


def _synopsis(command: click.Command, context: click.Context) -> str:
    return f".B {_text(context.command_path)}\n{_text(' '.join(command.collect_usage_pieces(context)))}"


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context) if isinstance(parameter, click.Option) else None
        if record is not None:
            yield f".TP\n.B {_text(record[0])}\n{_text(record[1])}"


def _paragraphs(command: click.Command) -> list[str]:
    return [" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", command.help or "")]


def _as_phrase(sentence: str) -> str:
    """A sentence in the form for a man page's NAME, which `apropos` lists."""
    return sentence[0].lower() + sentence[1:].partition(":")[0].rstrip(".")


def _text(text: str) -> str:
    """Text that troff prints unchanged, except `code`, which is bold."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    escaped = re.sub(r"`([^`]+)`", r"\\fB\1\\fR", escaped)
    return re.sub(r"^([.'])", r"\\&\1", escaped)
