"""The configuration lines by which the usual servers send a full chain."""

from __future__ import annotations

import re
from typing import NamedTuple


class Lines(NamedTuple):
    """What to do for one kind of server."""

    server: str
    where: str  # in words, a sentence
    lines: str  # of its configuration, or commands
    first: str = ""  # a command for a shell, before these
    takes_each: bool = False  # whether it takes each intermediate as a file of its own


def file_name(of: str, ending: str = ".pem") -> str:
    """The name of a file for a host's full chain or a CA's certificate, made from the name of the host or CA."""
    return re.sub(r"[^\w.-]", "_", of, flags=re.ASCII).strip(".") + ending


def lines_for(host: str) -> list[Lines]:
    """For each kind of server, the lines of its configuration that name the host's full chain, in the usual folder.

    Sources: the documents of nginx's ngx_http_ssl_module (`ssl_certificate`), Apache's mod_ssl (`SSLCertificateFile`,
    2.4.8 and newer), HAProxy's `crt`, Caddy's `tls`, Postfix' `smtpd_tls_chain_files` (3.4 and newer: the key comes
    first), and of Windows' certutil.
    """
    file = file_name(host)
    chain, key = f"/etc/ssl/{file}", f"/etc/ssl/private/{file.removesuffix('.pem')}.key"
    return [
        Lines(
            "nginx",
            "In the server's block; then nginx -s reload.",
            f"ssl_certificate     {chain};\nssl_certificate_key {key};",
        ),
        Lines(
            "Apache",
            "In the virtual host, from 2.4.8 on, without SSLCertificateChainFile; then apachectl graceful.",
            f"SSLCertificateFile    {chain}\nSSLCertificateKeyFile {key}",
        ),
        Lines(
            "HAProxy",
            "The key follows the chain in one file, which only root may read; then reload.",
            f"bind :443 ssl crt /etc/haproxy/{file}",
            first=f"(umask 077; cat {chain} {key} > /etc/haproxy/{file})",
        ),
        Lines("Caddy", "In the site's block; then caddy reload.", f"tls {chain} {key}"),
        Lines(
            "Postfix",
            "From 3.4 on, the key before the chain; then postfix reload.",
            f"postconf -e 'smtpd_tls_chain_files = {key}, {chain}'",
        ),
        Lines(
            "IIS",
            "It takes intermediates from the machine's store, so put each of these there, and restart it.",
            "certutil -f -addstore CA INTERMEDIATE.cer",
            takes_each=True,
        ),
    ]
