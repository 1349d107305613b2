"""A finding as a tree, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from rich.tree import Tree

from .. import output
from .words import fault_of, how_reached, lasting, revocation_of, source_of

if TYPE_CHECKING:
    from ...der import Certificate
    from ...probe import Finding


def tree_of(finding: Finding, roots_path: str) -> Tree:
    """The path that was found, from the leaf to the trust anchor, and beside it what is of no use."""
    tree = Tree(Text.assemble((finding.address, "bold"), (f"  {how_reached(finding.target)}".rstrip(), "dim")))
    branch = tree
    path = finding.path.certificates if finding.path is not None else [finding.chain.leaf]
    for certificate in path:
        branch = branch.add(_link(certificate, finding, roots_path))
    if finding.path is None and not finding.revoked and not finding.chain.is_hopeless():
        branch.add(Text.assemble(("✗ ", "bold red"), output.issuer(path[-1]), ("  not found", "dim")))
    for certificate in finding.revoked:
        if certificate not in finding.chain.sent:
            note = f"  found, but {fault_of(certificate, finding)}"
            tree.add(Text.assemble(("✗ ", "bold red"), output.subject(certificate), (note, "dim")))
    for certificate in finding.chain.sent if not finding.chain.is_hopeless() else ():
        if certificate not in path:
            note = f"  sent, but no part of the path: {fault_of(certificate, finding)}"
            tree.add(Text.assemble(("? ", "yellow"), output.subject(certificate), (note, "dim")))
    for url, reason in finding.failed.items():
        tree.add(Text.assemble(("! ", "yellow"), output.harmless(url), (f"  {output.harmless(reason)}", "dim")))
    return tree


def _link(certificate: Certificate, finding: Finding, roots_path: str) -> Text:
    """One certificate of the path."""
    if finding.path is not None and certificate is finding.path.certificates[-1]:
        mark, note = ("◆ ", "cyan"), f"trust anchor, in {roots_path}"
    elif certificate in finding.missing:
        mark, note = ("✗ ", "bold red"), f"NOT SENT; {source_of(certificate, finding)}"
    elif finding.chain.is_hopeless() and finding.faults:
        mark, note = ("✗ ", "bold red"), f"sent, but {fault_of(certificate, finding)}"
    elif certificate in finding.revoked_links:
        mark, note = ("✗ ", "bold red"), "sent"
    else:
        mark, note = ("✓ ", "green"), "sent"
    notes = [note, lasting(certificate, finding), revocation_of(certificate, finding)]
    return Text.assemble(mark, output.subject(certificate), (f"  {', '.join(filter(None, notes))}", "dim"))
