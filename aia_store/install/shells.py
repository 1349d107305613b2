"""The shell lines that make a machine's tools use the bundle or the trust folder."""

from __future__ import annotations

import os

VARIABLES = (
    "SSL_CERT_FILE",  # OpenSSL: Python, Ruby, PHP, wget, and many more
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
    "NIX_SSL_CERT_FILE",  # Nix prefers it to SSL_CERT_FILE
)
FOLDER_VARIABLE = "SSL_CERT_DIR"
# With the trust folder, the first of these name it, and the second are unset, so OpenSSL and curl use SSL_CERT_DIR.
# SSL_CERT_FILE must not name a file with few anchors: OpenSSL would use the folder too, but httpx and others would not.
_TAKE_A_FOLDER = (FOLDER_VARIABLE, "REQUESTS_CA_BUNDLE")
_NOT_WITH_A_FOLDER = ("SSL_CERT_FILE", "CURL_CA_BUNDLE")
SHELLS = ("sh", "fish", "csh", "powershell")
KIN = {"bash": "sh", "zsh": "sh", "dash": "sh", "ksh": "sh", "tcsh": "csh", "pwsh": "powershell"}


def variables(file: str, folder: str | None = None) -> dict[str, str | None]:
    """The value of each environment variable: the path of the bundle or of the trust folder; None means unset."""
    found: dict[str, str | None] = dict.fromkeys(VARIABLES, file)
    if folder is not None:
        found |= dict.fromkeys(_TAKE_A_FOLDER, folder) | dict.fromkeys(_NOT_WITH_A_FOLDER)
    return found


def no_variables() -> dict[str, str | None]:
    """All the variables with the value None, which means unset."""
    return dict.fromkeys((*VARIABLES, FOLDER_VARIABLE))


def lines(values: dict[str, str | None], shell: str) -> str:
    """The lines that set or unset these variables in `shell`, which is one of SHELLS."""
    return "".join(
        f"{_removal(name, shell) if value is None else _assignment(name, value, shell)}\n"
        for name, value in values.items()
    )


def current_shell() -> str:
    """The user's shell according to the environment; sh if it is none of SHELLS."""
    name = os.path.basename(os.environ.get("SHELL", "powershell" if os.name == "nt" else "sh"))
    name = KIN.get(name, name)
    return name if name in SHELLS else "sh"


def evaluation(shell: str) -> str:
    """The command that evaluates the output of `aia-store env` in `shell` (one of SHELLS) or its start-up file."""
    return {
        "fish": "aia-store env | source",
        "csh": 'eval "`aia-store env`"',
        "powershell": "aia-store env | Out-String | Invoke-Expression",
    }.get(shell, 'eval "$(aia-store env)"')


def _assignment(name: str, value: str, shell: str) -> str:
    if shell == "fish":
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"set -gx {name} '{escaped}';"
    if shell == "powershell":
        escaped = value.replace("'", "''")
        return f"$env:{name} = '{escaped}'"
    quoted = "'" + value.replace("'", "'\\''") + "'"
    if shell == "csh":
        return f"setenv {name} {quoted.replace('!', chr(92) + '!')};"
    return f"export {name}={quoted}"


def _removal(name: str, shell: str) -> str:
    return {
        "fish": f"set -e {name};",
        "csh": f"unsetenv {name};",
        "powershell": f"Remove-Item Env:{name} -ErrorAction SilentlyContinue",
    }.get(shell, f"unset {name}")
