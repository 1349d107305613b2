"""Verification flags of OpenSSL that not every Python has a name for (openssl/x509_vfy.h)."""

from __future__ import annotations

PARTIAL_CHAIN = 0x80000  #: ssl.VERIFY_X509_PARTIAL_CHAIN, from Python 3.10 on
