"""What the library raises, by the names and with the bases that `aia` 0.2.0 gave these errors."""

from __future__ import annotations


class DownloadError(Exception):
    """A download that did not end in status 200."""


class AIAError(Exception):
    """No certification path can be had; the message is one line that says why."""


class AIASchemeError(AIAError):
    """A URL whose scheme is not allowed: issuers are fetched by http only, pages by http and https."""


class AIADownloadError(AIAError, DownloadError):
    """An issuer could not be fetched."""


class InvalidCAError(AIAError):
    """What there is leads to no trust anchor."""
