"""The lines of `env` in real shells, with any characters in the path of the bundle."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.manager.machine import COMMAND, Machine
from tests.support.pki import Authority

VARIABLES = {
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
    "AWS_CA_BUNDLE",
    "PIP_CERT",
    "PGSSLROOTCERT",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "CARGO_HTTP_CAINFO",
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
    "DENO_CERT",
    "HTTPLIB2_CA_CERTS",
    "NIX_SSL_CERT_FILE",
}
NASTY = ["plain", "a 'single' and a \"double\" quote, $HOME `id` $(id) back\\slash; & | * ? ~ # ünï", "wow! !! !1"]
PRINT = "import json, os; print(json.dumps(dict(os.environ)))"
EVALUATE = {
    "sh": "eval \"$(cat {file})\"; exec {python} -c '{program}'",
    "fish": "cat {file} | source; exec {python} -c '{program}'",
    "csh": "eval \"`cat {file}`\"; exec {python} -c '{program}'",
    "powershell": "Get-Content -Raw {file} | Invoke-Expression; {python} -c '{program}'",
}
INTERPRETERS = [
    ("sh", "sh"),
    ("sh", "bash"),
    ("sh", "zsh"),
    ("sh", "dash"),
    ("sh", "ksh"),
    ("fish", "fish"),
    ("csh", "csh"),
    ("csh", "tcsh"),
    ("powershell", "pwsh"),
]


@pytest.mark.parametrize(("kind", "shell"), INTERPRETERS)
def test_a_real_shell_sets_all(machine: Machine, root: Authority, kind: str, shell: str) -> None:
    interpreter = shutil.which(shell)
    if interpreter is None:
        pytest.skip(f"{shell} is not here")
    for folder in NASTY:
        store = machine.folder / folder
        lines = machine.folder / "lines"
        lines.write_text(machine.says("env", "--shell", kind, AIA_STORE_DIR=str(store)), encoding="utf-8")
        script = EVALUATE[kind].format(file=lines, python=sys.executable, program=PRINT)
        done = machine.execute(interpreter, "-c", script)
        assert done.stderr == ""
        found = json.loads(done.stdout)
        assert {found.get(name) for name in VARIABLES} == {str(store / "bundle.pem")}
        assert (store / "bundle.pem").exists()


@pytest.mark.parametrize(("kind", "shell"), INTERPRETERS)
def test_with_the_folder_a_real_shell_takes_it_where_it_serves(
    machine: Machine, root: Authority, kind: str, shell: str
) -> None:
    interpreter = shutil.which(shell)
    if interpreter is None:
        pytest.skip(f"{shell} is not here")
    store = machine.folder / NASTY[1]
    lines = machine.folder / "lines"
    text = machine.says("env", "--folder", "--shell", kind, AIA_STORE_DIR=str(store))
    lines.write_text(text, encoding="utf-8")
    script = EVALUATE[kind].format(file=lines, python=sys.executable, program=PRINT)
    for before in ("", "set before"):
        done = machine.execute(interpreter, "-c", script, SSL_CERT_FILE=before or None, CURL_CA_BUNDLE=before or None)
        assert done.stderr == ""
        found = json.loads(done.stdout)
        assert {name for name in VARIABLES if name not in found} == {"SSL_CERT_FILE", "CURL_CA_BUNDLE"}
        folder, file = str(store / "trust"), str(store / "bundle.pem")
        assert {found["SSL_CERT_DIR"], found["REQUESTS_CA_BUNDLE"]} == {folder}
        assert {found[name] for name in ("GIT_SSL_CAINFO", "PGSSLROOTCERT", "NODE_EXTRA_CA_CERTS")} == {file}


@pytest.mark.parametrize(("kind", "shell"), INTERPRETERS)
def test_a_real_shell_unsets_what_env_set(machine: Machine, root: Authority, kind: str, shell: str) -> None:
    interpreter = shutil.which(shell)
    if interpreter is None:
        pytest.skip(f"{shell} is not here")
    lines = machine.folder / "lines"
    script = EVALUATE[kind].format(file=lines, python=sys.executable, program=PRINT)
    for form in ((), ("--folder",)):
        found = [machine.says("env", *options, "--shell", kind) for options in (form, ("--unset",))]
        lines.write_text("".join(found), encoding="utf-8")
        done = machine.execute(interpreter, "-c", script, SSL_CERT_DIR="set before")
        assert done.stderr == ""
        assert not {*VARIABLES, "SSL_CERT_DIR"} & set(json.loads(done.stdout))


def test_unset_needs_no_trust_anchors(machine: Machine) -> None:
    done = machine.run("env", "--unset", "--shell", "sh")
    assert (done.returncode, done.stderr) == (0, "")
    assert "unset SSL_CERT_FILE\n" in done.stdout


def test_unset_is_of_both_forms(machine: Machine) -> None:
    done = machine.run("env", "--unset", "--folder")
    assert (done.returncode, done.stdout) == (2, "")
    assert "leave out --folder" in done.stderr


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("sh", "export SSL_CERT_FILE='{}'"),
        ("fish", "set -gx SSL_CERT_FILE '{}';"),
        ("csh", "setenv SSL_CERT_FILE '{}';"),
        ("powershell", "$env:SSL_CERT_FILE = '{}'"),
    ],
)
def test_each_shell_has_its_own_lines(machine: Machine, root: Authority, shell: str, line: str) -> None:
    lines = machine.says("env", "--shell", shell).splitlines()
    assert len(lines) == len(VARIABLES)
    assert line.format(machine.bundle_file) in lines


@pytest.mark.parametrize(
    ("login", "expected"),
    [
        ("/bin/sh", "sh"),
        ("/bin/bash", "sh"),
        ("/usr/bin/zsh", "sh"),
        ("/usr/bin/fish", "fish"),
        ("/bin/tcsh", "csh"),
        ("/usr/bin/pwsh", "powershell"),
        ("/bin/something", "sh"),
        ("", "sh"),
        (None, "sh"),
    ],
)
def test_the_lines_are_those_of_the_users_shell(
    machine: Machine, root: Authority, login: str | None, expected: str
) -> None:
    assert machine.says("env", SHELL=login) == machine.says("env", "--shell", expected)


@pytest.mark.parametrize("name", ["bash", "zsh", "tcsh", "pwsh"])
def test_a_shell_may_be_called_by_its_own_name(machine: Machine, root: Authority, name: str) -> None:
    assert "SSL_CERT_FILE" in machine.says("env", "--shell", name)


def test_the_line_of_the_help_works(machine: Machine, root: Authority) -> None:
    program = machine.folder / "aia-store"
    program.write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
    program.chmod(0o755)
    path = f"{machine.folder}:{machine.environment['PATH']}"
    script = (
        'eval "$(aia-store env)" && echo "$SSL_CERT_FILE" && export SSL_CERT_FILE=$(aia-store bundle) && aia-store env'
    )
    done = machine.execute("sh", "-c", script, PATH=path, SHELL="/bin/sh")
    assert done.stderr == ""
    assert Path(done.stdout.splitlines()[0]) == machine.bundle_file


@pytest.mark.parametrize(
    ("shell", "command"),
    [
        ("/bin/bash", 'eval "$(aia-store env)"'),
        ("/usr/bin/fish", "aia-store env | source"),
        ("/bin/tcsh", 'eval "`aia-store env`"'),
        ("/usr/bin/pwsh", "aia-store env | Out-String | Invoke-Expression"),
    ],
)
def test_status_names_the_command_of_the_users_shell(
    machine: Machine, root: Authority, shell: str, command: str
) -> None:
    aspects = {aspect["name"]: aspect for aspect in machine.json("status", status=1, SHELL=shell)}
    assert f"run {command} in your shell" in aspects["environment"]["remedy"]


@pytest.mark.parametrize("script", ["bundle=$({} bundle)", 'eval "$({} env)" && bundle=$SSL_CERT_FILE'])
def test_a_path_that_is_no_text_is_printed_byte_by_byte(machine: Machine, root: Authority, script: str) -> None:
    folder = os.fsdecode(os.fsencode(machine.folder) + b"/\xff")
    done = machine.execute("sh", "-c", f'{script.format(" ".join(COMMAND))} && test -f "$bundle"', AIA_STORE_DIR=folder)
    assert (done.returncode, done.stderr) == (0, "")
