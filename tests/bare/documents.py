"""The documents' commands, exactly as they are written, on a bare Debian; `run` makes the machine.

Each journey is made by each reader: root, a user, and both in an environment without HOME. There is no registry: pip
finds the wheels that it asks for in a folder.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.bare.journeys import ENDS_WITH, JOURNEYS, NOT_RUN, STAYS, Journey
from tests.bare.machine import READERS, Bare, Who
from tests.docs.blocks import named
from tests.docs.reader import Reader

BASE, GIVEN = Path(os.environ["AIA_STORE_BARE"]), Path(os.environ["AIA_STORE_BARE_GIVEN"])

#: What README's second command is told to run; all tests take as long as they do in `.ci/run`.
SOME_TESTS = (
    {}
    if os.environ.get("AIA_STORE_TEST_BARE") == "all"
    else {"PYTEST_ADDOPTS": "tests/cli/test_selftest.py tests/ground"}
)

pytestmark = pytest.mark.timeout(3600)


@pytest.mark.parametrize("who", READERS, ids=lambda who: who.name)
@pytest.mark.parametrize("journey", JOURNEYS, ids=lambda journey: journey.title)
def test_journey(journey: Journey, who: Who, tmp_path: Path) -> None:
    if journey.for_root and who.user != 0:
        pytest.skip("the page says that root does this")
    who = who._replace(variables=who.variables | SOME_TESTS)
    with Bare(BASE, GIVEN, tmp_path / "machine", who) as machine:
        if journey.needs_pipx > machine.pipx():
            pytest.skip("this suite's pipx is too old, as the page says")
        reader = Reader(machine)
        for name in journey.blocks:
            reader.follow(named(name), ENDS_WITH.get(name))
        reader.end()
        if journey.leaves_nothing:
            assert [path for path in machine.of_the_package() if not any(stays in path for stays in STAYS)] == []


@pytest.mark.parametrize("name", NOT_RUN)
def test_block(name: str) -> None:
    pytest.skip(f"{named(name).where}: {NOT_RUN[name]}")
