"""The trust anchors of macOS: Apple's in one keychain, the administrator's in another, with trust settings.

The `security` command reads them, because they are not in PEM files. This was not tested: no Mac was at hand.
"""

from __future__ import annotations

import os
import plistlib
import subprocess
import sys
import tempfile
from typing import Any

from ...inside.certificate import pem_certificates, sha1

PATH = "/System/Library/Keychains/SystemRootCertificates.keychain"
REASON = "macOS keeps its trust anchors there and in the System keychain"
_ADDED = "/Library/Keychains/System.keychain"
_VERDICTS = "/Library/Security/Trust Settings/Admin.plist"
WATCHED = (PATH, _ADDED, _VERDICTS)

# SecTrustSettings.h: kSecTrustSettingsResult
_TRUSTED, _DENIED = (1, 2), 3
_POLICIES = ("sslServer", "basicX509")


def is_here() -> bool:
    return sys.platform == "darwin" and os.path.exists(PATH)


def certificates() -> list[bytes]:
    """The DER of the trust anchors. Raises OSError."""
    verdicts = _verdicts()
    apples = [der for der in _in_keychain(PATH) if verdicts.get(_sha1(der)) is not False]
    return apples + [der for der in _in_keychain(_ADDED) if verdicts.get(_sha1(der)) is True]


def verdicts(settings: dict[str, Any]) -> dict[str, bool]:
    """Which certificates (by SHA-1) the exported trust settings trust or deny for TLS servers. A denial wins."""
    found: dict[str, bool] = {}
    for fingerprint, entry in settings.get("trustList", {}).items():
        # No entries at all mean "always trust", and so does an entry without a result.
        results = [
            item.get("kSecTrustSettingsResult", 1)
            for item in entry.get("trustSettings", []) or [{}]
            if item.get("kSecTrustSettingsPolicyName", _POLICIES[0]) in _POLICIES
        ]
        if _DENIED in results:
            found[fingerprint.upper()] = False
        elif any(result in _TRUSTED for result in results):
            found[fingerprint.upper()] = True
    return found


def _verdicts() -> dict[str, bool]:
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "settings.plist")
        _security("trust-settings-export", "-d", file)
        try:
            with open(file, "rb") as exported:
                return verdicts(plistlib.load(exported))
        except FileNotFoundError:  # there are none
            return {}
        except (ValueError, AttributeError, TypeError) as error:
            raise OSError(f"the trust settings cannot be read ({error})") from error


def _in_keychain(path: str) -> list[bytes]:
    return list(pem_certificates(_security("find-certificate", "-a", "-p", path)))


def _security(*arguments: str) -> bytes:
    try:
        return subprocess.run(["/usr/bin/security", *arguments], capture_output=True, check=False, timeout=30).stdout
    except subprocess.TimeoutExpired as error:
        raise OSError("the security command does not answer") from error


def _sha1(der: bytes) -> str:
    return sha1(der).hex().upper()
