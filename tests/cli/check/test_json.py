"""The JSON document follows its schema, for all kinds of hosts."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import jsonschema
import pytest

import aia_store
from tests.cli.check.fleet import Fleet
from tests.conftest import Hierarchy, MakeHierarchy
from tests.manager.machine import Machine, fingerprint
from tests.support.pki import Authority, Leaf
from tests.support.servers import AIAHost

SCHEMA = json.loads(Path(aia_store.__file__).parents[1].joinpath("docs/check.schema.json").read_text(encoding="utf-8"))


@pytest.fixture
def pki(machine: Machine, hierarchy: MakeHierarchy) -> Hierarchy:
    """Two intermediates under the machine's trust anchor."""
    made = hierarchy({}, {})
    machine.trust(made.root)
    return made


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_every_kind_of_answer_is_as_the_schema_says(machine: Machine, pki: Hierarchy, aia: AIAHost) -> None:
    lower, upper = pki.intermediates
    stranger = Authority.root("Strange Root")
    with Fleet() as fleet:
        hosts = [
            *fleet.tls(1, pki.leaf, [lower, upper]),
            *fleet.tls(1, pki.leaf),
            *fleet.tls(1, lower.leaf(not_after=timedelta(days=-3)), [lower, upper]),
            *fleet.tls(1, lower.leaf(not_after=timedelta(days=3)), [lower, upper]),
            *fleet.tls(1, lower.leaf("www.example.com"), [lower]),
            *fleet.tls(1, Leaf._make("localhost", None, {"san": ["localhost"]})),
            *fleet.tls(1, stranger.leaf(aia=[aia.url("/nothing.cer")])),
            *fleet.plain(1),
            "no host",
        ]
        answers = machine.json("check", *hosts, "--revocation", "--expiry-days", "7", status=1)
    jsonschema.Draft202012Validator(SCHEMA).validate(answers)
    results = ["complete", "incomplete", "broken", "ending", *["broken"] * 3, *["could-not-tell"] * 2]
    assert [answer["result"] for answer in answers] == results
    assert [answer["target"] for answer in answers] == hosts


def test_no_answer_but_those_of_the_schema(machine: Machine, pki: Hierarchy) -> None:
    """The schema leaves nothing open that would let a mistake pass."""
    with Fleet() as fleet:
        answers = machine.json("check", *fleet.tls(1, pki.leaf), status=1)
    for key in answers[0]:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate([{other: value for other, value in answers[0].items() if other != key}], SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate([answers[0] | {"more": 1}], SCHEMA)


def test_it_says_all_there_is(machine: Machine, pki: Hierarchy) -> None:
    with Fleet() as fleet:
        (host,) = fleet.tls(1, pki.leaf)
        (found,) = machine.json("check", host, status=1)
    assert f"{found['host']}:{found['port']}" == host
    assert (found["complete"], found["faults"]) == (False, ["incomplete"])
    assert found["refusal"] == "unable to get local issuer certificate"
    assert found["refusal_when_completed"] is None
    assert found["missing"] == [fingerprint(each) for each in pki.intermediates]
    assert [item["sha256"] for item in found["path"]] == [
        fingerprint(each) for each in (pki.leaf, *pki.intermediates, pki.root)
    ]
    assert [item["source"].rpartition("/")[2] for item in found["path"]] == ["sent", "0.cer", "1.cer", "trusted here"]
    assert [item["days_left"] for item in found["path"]] == [89] * 4
    assert found["sent"][0]["issuer"] == "CN=Test Intermediate 0"
    assert found["verdict"].startswith("Incomplete")
