"""The shell lines that point the tools of a machine at the bundle."""

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
)
SHELLS = ("sh", "fish", "csh", "powershell")
KIN = {"bash": "sh", "zsh": "sh", "dash": "sh", "ksh": "sh", "tcsh": "csh", "pwsh": "powershell"}


def lines(bundle: str, shell: str) -> str:
    """The lines for one of SHELLS that set every variable to the path of the bundle."""
    return "".join(f"{_assignment(name, bundle, shell)}\n" for name in VARIABLES)


def current_shell() -> str:
    """The user's shell according to the environment; sh if it is none of SHELLS."""
    name = os.path.basename(os.environ.get("SHELL", "powershell" if os.name == "nt" else "sh"))
    name = KIN.get(name, name)
    return name if name in SHELLS else "sh"


def evaluation(shell: str) -> str:
    """The command by which one of SHELLS evaluates the lines, also in its start-up file."""
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
