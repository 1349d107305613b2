"""Which paths a walk finds, in which order and within which limits; OpenSSL's verdict comes later."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from aia_store.inside.certificate import Certificate
from aia_store.inside.search import Budget, Walk

from ..support.pki import Authority, Certified

ROOT = Authority.root("Walk Root")
CA = ROOT.intermediate("Walk CA")
NOW = time.time()


def walked(
    leaf: Certified, *offered: Certified, anchors: tuple[Certified, ...] = (ROOT,), budget: Budget | None = None
) -> list[list[Certified]]:
    """The paths that are found among the offered certificates, in that order."""
    known = {Certificate(one.der): one for one in (leaf, *offered, *anchors)}
    trusted = [Certificate(anchor.der) for anchor in anchors]

    def issuers_of(subject: Certificate) -> list[Certificate]:
        return [*trusted, *(Certificate(one.der) for one in offered)]

    walk = Walk(issuers_of, lambda certificate: certificate in trusted, NOW, budget or Budget())
    return [[known[certificate] for certificate in path] for path in walk.paths(Certificate(leaf.der))]


def test_every_path_is_found() -> None:
    leaf = CA.leaf()
    other = Authority.root("Another Root")
    cross = other.cross_sign(CA)
    assert walked(leaf, CA, cross, anchors=(ROOT, other)) == [[leaf, CA, ROOT], [leaf, cross, other]]


def new_with_old() -> tuple[Certified, list[Certified], Certified]:
    """A root that changed its key: the new one is certified by the old one, under the same name (RFC 4210, 4.4)."""
    new = Authority.root("Walk Root")
    link = ROOT.cross_sign(new)
    return new.leaf(), [link], ROOT


def a_name_beneath_itself() -> tuple[Certified, list[Certified], Certified]:
    upper = ROOT.intermediate("Twice")
    middle = upper.intermediate("Between")
    lower = middle.intermediate("Twice")
    return lower.leaf(), [lower, middle, upper], ROOT


def the_name_of_the_leaf() -> tuple[Certified, list[Certified], Certified]:
    named = ROOT.intermediate("localhost")
    between = named.intermediate("Between")
    return between.leaf("localhost"), [between, named], ROOT


def spelled_otherwise() -> tuple[Certified, list[Certified], Certified]:
    upper = ROOT.intermediate("TWICE  Named")
    between = upper.intermediate("Between")
    lower = between.intermediate("Twice named")
    return lower.leaf(), [lower, between, upper], ROOT


@pytest.mark.parametrize("make", [new_with_old, a_name_beneath_itself, the_name_of_the_leaf, spelled_otherwise])
def test_no_path_names_a_subject_twice(make: Callable[[], tuple[Certified, list[Certified], Certified]]) -> None:
    leaf, offered, root = make()
    assert walked(leaf, *offered, anchors=(root,)) == []


def test_a_path_around_a_name_that_would_stand_twice_is_found() -> None:
    new = Authority.root("Walk Root")
    leaf = new.leaf()
    assert walked(leaf, ROOT.cross_sign(new), anchors=(ROOT, new)) == [[leaf, new]]


def test_what_has_expired_or_is_no_ca_leads_nowhere() -> None:
    expired, early = CA.reissue(not_after=timedelta(days=-1)), CA.reissue(not_before=timedelta(days=1))
    assert walked(CA.leaf(), expired, early, CA.reissue(ca=False)) == []


def test_a_path_length_counts_what_is_below_it() -> None:
    short = ROOT.intermediate("Short", path_length=0)
    below = short.intermediate("Below")
    assert walked(below.leaf(), below, short) == []
    leaf = short.leaf()
    assert walked(leaf, short) == [[leaf, short, ROOT]]


def test_steps_and_intermediates_are_bounded() -> None:
    budget = Budget()
    leaf = CA.leaf()
    budget.steps = 2
    assert walked(leaf, CA, budget=budget) == [], "the root, the CA, and no step left to the root"
    budget.steps = 3
    assert walked(leaf, CA, budget=budget) == [[leaf, CA, ROOT]]
    budget.intermediates = 0
    assert walked(leaf, CA, budget=budget) == []
