"""The commands about what is in the store: add, list, show, remove, clear, refresh."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

import click

from ..check.connection import ProbeError
from ..inside import settings as config
from ..inside.certificate import Certificate
from ..inside.store import IntermediateStore, sound_store
from ..library import learn
from ..manager import history, refresh, roots
from ..manager.export_rules import Export
from ..manager.revocation.record import reader
from ..manager.target import TargetError
from ..manager.upkeep import modified
from ..manager.verify import Verifier, VerifyError
from ..manager.words import counted
from . import output
from .errors import WrongUseError, report, say

SHOWN_DIGITS = 16  # of a fingerprint, in tables
MOST_SHOWN = 20  # things of one kind that are listed one by one
FEWEST_DIGITS = 6  # of a fingerprint that names a certificate


class NotBelievedError(Exception):
    """The clock cannot be right, so nothing was done."""


class NotInStoreError(Exception):
    """No certificate in the store, or more than one, has this fingerprint."""


def _entry(certificate: Certificate, path: str, *, preloaded: bool) -> dict[str, object]:
    return output.described(certificate) | {
        "preloaded": preloaded,
        "last_used": None if preloaded else output.timestamp(_last_used(path)),
        "path": path,
    }


def _last_used(path: str) -> float:
    return modified(path, time.time())  # another process may have dropped it just now


def _named(store: IntermediateStore, fingerprint: str) -> tuple[Certificate, dict[bool, str]]:
    """Find the only certificate in the store whose fingerprint starts with these digits.

    Returns the certificate and its files, as {whether preloaded: path}. Raises NotInStoreError and click.UsageError.
    """
    digits = fingerprint.lower().replace(":", "")
    if digits.strip("0123456789abcdef"):
        raise click.UsageError(f"{fingerprint!r} is not a fingerprint; `aia-store list` shows them")
    if len(digits) < FEWEST_DIGITS:
        raise click.UsageError(f"{fingerprint!r} is too short; give at least {FEWEST_DIGITS} digits of the fingerprint")
    found: dict[Certificate, dict[bool, str]] = {}
    for preloaded in (False, True):
        for path, certificate in store.entries(digits, preloaded=preloaded):
            found.setdefault(certificate, {})[preloaded] = path
    if len(found) == 1:
        return next(iter(found.items()))
    if found:
        raise NotInStoreError(f"{fingerprint} fits {len(found)} certificates; give more digits")
    raise NotInStoreError(f"{fingerprint} is not in the store; `aia-store list` shows what is")


def _history(store: IntermediateStore, fingerprint: str) -> list[history.Event]:
    return history.of(store.folders, fingerprint.lower().replace(":", ""))


def _print_gone(events: list[history.Event], *, as_json: bool) -> None:
    """Print what is known of a certificate that is no longer in the store."""
    if as_json:
        output.print_json({"history": list(map(_event, events))})
    else:
        rows = [[output.timestamp(one.at), one.fingerprint[:SHOWN_DIGITS], _in_words(one)] for one in events]
        output.print_table(["When", "SHA-256", "What"], rows)


def _in_words(event: history.Event) -> str:
    return f"{event.what}: {output.harmless(event.why)}"


@click.command("list")
@click.option("--preloaded", is_flag=True, help="List the preloaded intermediates instead.")
@output.json_option
def list_command(preloaded: bool, as_json: bool) -> None:
    """List the intermediates in the store that were needed on this machine."""
    store = sound_store(config.load())
    found = store.entries(preloaded=preloaded)
    entries = sorted(found, key=lambda entry: output.subject(entry[1]).lower())
    if as_json:
        output.print_json([_entry(certificate, path, preloaded=preloaded) for path, certificate in entries])
        return
    rows = [
        [
            certificate.fingerprint[:SHOWN_DIGITS],
            output.subject(certificate),
            output.short_name(certificate.issuer),
            output.day(certificate.validity[1]),
            output.day(_last_used(path)),
        ]
        for path, certificate in entries
    ]
    if not rows and preloaded:
        click.echo("Nothing is preloaded; `aia-store preload` does that.")
    elif not rows and any(store.entries(preloaded=True)):
        click.echo("No intermediate was needed on this machine yet; `aia-store list --preloaded` lists the others.")
    elif not rows:
        click.echo("The store is empty. It fills by itself; `aia-store add HOST` fills it now.")
    else:
        last = "Preloaded" if preloaded else "Last used"
        output.print_table(["SHA-256", "Intermediate", "Issuer", "Expires", last], rows)


@click.command("show")
@click.argument("fingerprint")
@output.json_option
def show_command(fingerprint: str, as_json: bool) -> None:
    """Show one intermediate, whether it still leads to a trust anchor, and what became of it.

    FINGERPRINT is its SHA-256 or the start of it. If the intermediate is no longer in the store, its history tells why
    it was dropped.
    """
    settings = config.load()
    store = sound_store(settings)
    try:
        certificate, paths = _named(store, fingerprint)
    except NotInStoreError:
        gone = _history(store, fingerprint)
        if not gone:
            raise
        _print_gone(gone, as_json=as_json)
        return
    preloaded, path = next(iter(paths.items()))
    events = _history(store, certificate.fingerprint)
    folder = next(folder for folder in store.folders if path.startswith(folder.path + os.sep))
    entry = _entry(certificate, path, preloaded=preloaded) | {
        "ca_issuers": output.ca_issuers(certificate),
        "learned_from": folder.source_of(certificate),
        "history": list(map(_event, events)),
    }
    anchors = roots.load(roots.source(settings))
    try:
        links = Verifier(anchors, store.find, reader(store.folders)).path(certificate)
        entry["leads_to"] = output.long_name(links[-1].subject)
        entry["in_bundle"] = not preloaded and Export(anchors, store).objection(certificate) is None
    except VerifyError as error:
        entry["leads_to"], entry["why_not"], entry["in_bundle"] = None, str(error), False
    if as_json:
        output.print_json(entry)
        return
    rows = {
        "Subject": entry["subject"],
        "Issuer": entry["issuer"],
        "Valid": f"{output.day(certificate.validity[0])} to {output.day(certificate.validity[1])}",
        "SHA-256": certificate.fingerprint,
        "Its issuer is at": ", ".join(output.ca_issuers(certificate)) or "(no AIA)",
        "Leads to": f"nowhere: {entry['why_not']}" if entry["leads_to"] is None else entry["leads_to"],
        "Preloaded": "yes, and not needed here yet" if preloaded else "no, it was needed here",
        "Learned from": output.harmless(str(entry["learned_from"] or "(not noted)")),
        "Last used": entry["last_used"] or "(never)",
        "In the bundle": "yes" if entry["in_bundle"] else "no",
        "File": path,
    }
    told = [(output.timestamp(event.at), _in_words(event)) for event in events]
    output.print_table([], [[label, str(value)] for label, value in (*rows.items(), *told)])


def _event(event: history.Event) -> dict[str, str]:
    return {
        "time": output.timestamp(event.at),
        "sha256": event.fingerprint,
        "event": event.what,
        "reason": output.harmless(event.why),
    }


@click.command("add")
@click.argument("sources", nargs=-1, required=True, metavar="HOST|URL|FILE...")
@output.json_option
def add_command(sources: tuple[str, ...], as_json: bool) -> None:
    """Learn the intermediates of a host, an AIA URL, a PEM, DER or PKCS#7 file, or a CCADB report.

    They are treated as needed on this machine, and so enter the CA bundle. `aia-store preload` makes a report known to
    Python programs with the hook, but keeps the bundle small.

    A certificate that does not lead to a trust anchor of this machine is reported and not kept; then the status is 1.
    """
    settings = config.load()
    outcomes: list[learn.Learned] = []
    status = 0
    for source in sources:
        with output.progress(f"Verifying {source}") as progress:
            try:
                outcomes += learn.from_source(source, settings, progress)
            except TargetError as error:
                status = report(WrongUseError(f"{error}, a file or an http URL"))
            except (learn.LearnError, ProbeError) as error:
                status = report(error)
    refused = [outcome for outcome in outcomes if outcome.reason is not None]
    if as_json:
        output.print_json(
            [
                {
                    "sha256": outcome.certificate.fingerprint,
                    "subject": output.long_name(outcome.certificate.subject),
                    "kept": outcome.reason is None,
                    "new": outcome.is_new,
                    "reason": outcome.reason,
                }
                for outcome in outcomes
            ]
        )
    else:
        shown = outcomes if len(outcomes) <= MOST_SHOWN else refused
        _print_some([_state_of(outcome) for outcome in shown], "{} more that were not kept", click.echo)
        new = sum(outcome.is_new for outcome in outcomes)
        if outcomes:
            click.echo(f"{new} new, {len(outcomes) - len(refused) - new} known already, {len(refused)} not kept.")
    if refused or status:
        raise click.exceptions.Exit(status or 1)


def _state_of(outcome: learn.Learned) -> str:
    state = f"not kept: {outcome.reason}" if outcome.reason else "kept" if outcome.is_new else "known already"
    return f"{outcome.certificate.fingerprint[:SHOWN_DIGITS]}  {output.subject(outcome.certificate)}: {state}"


@click.command("remove")
@click.argument("fingerprints", nargs=-1, required=True, metavar="FINGERPRINT...")
def remove_command(fingerprints: tuple[str, ...]) -> None:
    """Remove intermediates from the store, needed or preloaded, named by their SHA-256 or the start of it."""
    store = sound_store(config.load())
    for certificate, paths in dict(_named(store, fingerprint) for fingerprint in fingerprints).items():
        for preloaded, path in paths.items():
            folders = store.preloaded if preloaded else store.folders
            folder = next(folder for folder in folders if path.startswith(folder.path + os.sep))
            try:
                folder.remove(path)
            except OSError as error:
                raise NotInStoreError(f"{path} cannot be removed ({error.strerror}); run this as its owner") from error
            history.note_dropped(store.home, [history.Dropped(path, certificate, "by `aia-store remove`")])
        click.echo(f"removed {certificate.fingerprint[:SHOWN_DIGITS]}  {output.subject(certificate)}")


@click.command("clear")
@click.option("--yes", is_flag=True, help="Do not ask.")
def clear_command(yes: bool) -> None:
    """Empty the store, including what was preloaded, and forget failed fetches. Programs learn again what they need."""
    if not yes and not sys.stdin.isatty():
        raise click.UsageError("there is no terminal for the question; use --yes")
    if not yes:
        click.confirm("Remove every intermediate from the store?", abort=True)
    settings = config.load()
    sound_store(settings)
    cleared = refresh.clear(settings)
    ended = f", ended {counted(cleared.pauses, 'pause')} after failed fetches" if cleared.pauses else ""
    click.echo(f"removed {counted(cleared.certificates, 'intermediate')}{ended}")


@click.command("refresh")
@click.option("--dry-run", is_flag=True, help="Print what would be done; fetch and change nothing.")
@output.json_option
def refresh_command(dry_run: bool, as_json: bool) -> None:
    """Take hand-ins, verify everything again, drop what is no longer valid, and rebuild the bundle: for cron.

    A dry run uses what is known of revocation, and reads no CRL.
    """
    if dry_run:
        _print_plan(as_json)
        return
    with output.progress("Verifying") as progress:
        found = refresh.run(config.load(), progress)
    if as_json:
        output.print_json(
            {
                "kept": found.kept,
                "preloaded": found.preloaded,
                "dropped": [_dropped(item) for item in found.dropped],
                "left": [_dropped(item) for item in found.left],
                "renewed": [
                    {
                        "sha256": one.certificate.fingerprint,
                        "subject": output.long_name(one.certificate.subject),
                        "replaces": one.old.fingerprint,
                        "url": one.url,
                    }
                    for one in found.renewed
                ],
                "notes": found.notes,
                "doubt": found.doubt,
                "handed_in": {"kept": found.handed_in.kept, "refused": found.handed_in.refused},
                "shared": found.shared.as_dict() if found.shared is not None else None,
                "bundle": found.bundle,
            }
        )
    else:
        _print_refresh(found)
    if found.doubt is not None:
        raise NotBelievedError(f"{found.doubt}; nothing was dropped, and the bundle is {found.bundle}")


def _print_plan(as_json: bool) -> None:
    with output.progress("Verifying") as progress:
        plan = refresh.plan(config.load(), progress)
    drop = [item for _, item in plan.drop]
    if as_json:
        output.print_json(
            {
                "keep": len(plan.held),
                "preloaded": len(plan.preloaded),
                "drop": [_dropped(item) for item in drop],
                "left": [_dropped(item) for item in plan.left],
                "renew": [{"sha256": one.old.certificate.fingerprint, "urls": one.urls} for one in plan.due],
                "notes": plan.notes,
            }
        )
        return
    for item in drop:
        click.echo(f"would drop {_name(item)}: {item.reason}")
    for one in plan.due:
        where = ", ".join(map(output.harmless, one.urls)) or "(no URL is known)"
        click.echo(f"would look for the successor of {output.subject(one.old.certificate)}: {where}")
    for note in plan.notes:
        say(note)
    click.echo(f"{counted(len(plan.held), 'intermediate')} would stay, {len(drop)} be dropped; nothing was changed")


def _print_refresh(found: refresh.RefreshReport) -> None:
    dropped = [f"dropped {_name(item)}: {item.reason}" for item in found.dropped]
    _print_some(dropped, "{} more", click.echo)
    left = [f"left alone {output.harmless(item.path)}: {item.reason}" for item in found.left]
    _print_some(left, "{} more left alone", lambda line: click.echo(line, err=True))
    for one in found.renewed:
        click.echo(f"renewed {output.subject(one.certificate)} from {output.harmless(one.url)}")
    _print_some(found.notes, "{} more; `aia-store refresh --json` shows all", say)
    if found.doubt is None:
        click.echo(
            f"{counted(found.kept, 'intermediate')} kept, "
            f"{f'{found.preloaded:,} preloaded, ' if found.preloaded else ''}"
            f"{len(found.dropped)} dropped, {len(found.renewed)} renewed; "
            f"{f'{found.handed_in.kept} handed in; ' if found.handed_in.kept else ''}"
            f"{f'{found.shared.taken} taken from other machines; ' if found.shared else ''}"
            f"the bundle is {found.bundle}"
        )


def _print_some(lines: list[str], more: str, echo: Callable[[str], None]) -> None:
    for line in lines[:MOST_SHOWN]:
        echo(line)
    if len(lines) > MOST_SHOWN:
        echo(f"and {more.format(len(lines) - MOST_SHOWN)}")


def _name(item: history.Dropped) -> str:
    """The name of a dropped certificate, or of its file if the file holds no certificate."""
    name = output.subject(item.certificate) if item.certificate is not None else os.path.basename(item.path)
    return output.harmless(name)


def _dropped(item: history.Dropped) -> dict[str, str | None]:
    return {
        "path": item.path,
        "sha256": item.certificate.fingerprint if item.certificate is not None else None,
        "reason": item.reason,
    }
