"""A finding as a tree, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from rich.tree import Tree

from .. import output
from .phrases import fault_of, how_reached, lasting, revocation_of, source_of, uselessness

if TYPE_CHECKING:
    from ...check import Finding
    from ...inside.certificate import Certificate

_BAD = ("✗ ", "bold red")


def tree_of(finding: Finding, roots_path: str) -> Tree:
    """The path that was found, from the leaf to the trust anchor, and beside it what is of no use."""
    tree = Tree(Text.assemble((finding.address, "bold"), (f"  {how_reached(finding.target)}".rstrip(), "dim")))
    branch = tree
    for certificate in finding.drawn:
        branch = branch.add(_link(certificate, finding, roots_path))
    if finding.not_found is not None:
        branch.add(Text.assemble(_BAD, output.short_name(finding.not_found), ("  not found", "dim")))
    for certificate in finding.useless:
        mark = ("? ", "yellow") if certificate in finding.chain.sent else _BAD
        note = (f"  {uselessness(certificate, finding)}", "dim")
        tree.add(Text.assemble(mark, output.subject(certificate), note))
    for url, reason in finding.failed.items():
        tree.add(Text.assemble(("! ", "yellow"), output.harmless(url), (f"  {output.harmless(reason)}", "dim")))
    return tree


def _link(certificate: Certificate, finding: Finding, roots_path: str) -> Text:
    """One certificate of the path."""
    fault = fault_of(certificate, finding)
    if finding.is_anchor(certificate) and certificate != finding.chain.leaf:
        mark, note = ("◆ ", "cyan"), f"trust anchor, in {roots_path}"
    elif certificate in finding.missing:
        mark, note = _BAD, f"NOT SENT; {source_of(certificate, finding)}"
    elif fault is not None:
        mark, note = _BAD, f"sent, but {fault}"
    else:
        mark, note = ("✓ ", "green"), "sent"
    notes = [note, lasting(certificate, finding), revocation_of(certificate, finding)]
    return Text.assemble(mark, output.subject(certificate), (f"  {', '.join(filter(None, notes))}", "dim"))
