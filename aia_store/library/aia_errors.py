"""The exceptions of the library, with the names and bases that they have in `aia` 0.2.0."""

from __future__ import annotations


class DownloadError(Exception):
    """A download ended with a status other than 200."""


class AIAError(Exception):
    """No certification path can be built. The message is one line that says why."""


class AIASchemeError(AIAError):
    """The scheme of a URL is not allowed: issuers are fetched by http only, pages by http and https."""


class AIADownloadError(AIAError, DownloadError):
    """An issuer could not be fetched."""


class InvalidCAError(AIAError):
    """The certificates that were found lead to no trust anchor."""
