"""A finding as a tree, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from rich.tree import Tree

from .. import output
from .words import fault_of, source_of

if TYPE_CHECKING:
    from ... import probe


def tree_of(finding: probe.Finding, roots_path: str) -> Tree:
    tree = Tree(Text(finding.address, style="bold"))
    branch = tree
    path = finding.path.certificates if finding.path is not None else [finding.chain.leaf]
    for certificate in path:
        is_anchor = finding.path is not None and certificate is path[-1]
        if is_anchor:
            mark, note = ("◆ ", "cyan"), f"trust anchor, in {roots_path}"
        elif certificate in finding.missing and certificate not in finding.chain.sent:
            mark, note = ("✗ ", "bold red"), f"NOT SENT; {source_of(certificate, finding)}"
        elif finding.chain.is_hopeless():
            mark, note = ("✗ ", "bold red"), f"sent, but {fault_of(certificate, finding)}"
        else:
            mark, note = ("✓ ", "green"), "sent"
        expiry = f"until {output.day(certificate.validity[1])}"
        branch = branch.add(Text.assemble(mark, output.subject(certificate), (f"  {note}, {expiry}", "dim")))
    if finding.path is None and not finding.revoked and not finding.chain.is_hopeless():
        branch.add(Text.assemble(("✗ ", "bold red"), f"{output.issuer(path[-1])}", ("  not found", "dim")))
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
