"""The Kubernetes manifest is valid, and its init container does what the program's container relies on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.manager.machine import HOOKED, Machine
from tests.manager.share.engines import Engine
from tests.manager.share.test_bad_input import publish
from tests.support.pki import Authority
from tests.support.servers import AIAHost, TLSServer

yaml = pytest.importorskip("yaml", reason="PyYAML is not here")
MANIFEST = Path(__file__).parents[2] / "packaging" / "kubernetes" / "aia-store.yaml"
DOCUMENTS: list[dict[str, Any]] = list(yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8")))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document["kind"])
def test_it_is_valid(document: dict[str, Any]) -> None:
    validator = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not here")
    validator.validate(document, validator.latest_version(), strict=True)


def pods() -> Iterator[dict[str, Any]]:
    """The specifications of the pods."""
    for document in DOCUMENTS:
        template = document.get("spec", {}).get("jobTemplate", document).get("spec", {}).get("template")
        if template is not None:
            yield template["spec"]


def test_pods_are_admitted_where_only_restricted_ones_are() -> None:
    """By Kubernetes' Pod Security Standards."""
    found = list(pods())
    assert len(found) == 2
    for pod in found:
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            assert not container["securityContext"]["allowPrivilegeEscalation"], container["name"]
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, container["name"]


def test_what_would_be_invalid_is_found() -> None:
    validator = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not here")
    with pytest.raises(validator.ValidationError):
        validator.validate({**DOCUMENTS[1], "spec": {"template": {}}}, validator.latest_version(), strict=True)


def test_the_program_has_what_its_init_container_took(tmp_path: Path, aia: AIAHost) -> None:
    deployment = next(document for document in DOCUMENTS if document["kind"] == "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    shelf, root = Engine(tmp_path / "shelf"), Authority.root()
    issuer = root.intermediate()
    publish(shelf, issuer)
    machine = Machine(tmp_path / "machine")
    machine.trust(root)
    volume = tmp_path / "volume"
    volume.mkdir(mode=0o777)
    volume.chmod(0o777)  # as Kubernetes makes it

    def on_volume(path: str) -> str:
        return path.replace("/aia/", f"{volume}/")

    values = {**DOCUMENTS[0]["data"], "AIA_STORE_SHARE": shelf.url}
    machine.environment |= {name: on_volume(value) for name, value in values.items()}
    machine.environment["PATH"] = f"{Path(sys.executable).parent}:{machine.environment['PATH']}"
    assert machine.execute(*pod["initContainers"][0]["command"]).returncode == 0
    named = {one["name"]: on_volume(one["value"]) for one in pod["containers"][0]["env"]}
    assert Path(named["SSL_CERT_FILE"]).is_file()
    with TLSServer(issuer.leaf(aia=[aia.publish("/issuer.cer", issuer.der)])) as server:
        done = machine.execute(sys.executable, "-c", HOOKED, server.port, named["SSL_CERT_FILE"], **named)
    assert (done.returncode, done.stderr) == (0, "")
    assert aia.count() == 0
