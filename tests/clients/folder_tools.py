"""Programs that take a hashed folder: how each is pointed at the trust folder, and whether it reads all of it."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass

from tests.support.pki import Leaf
from tests.support.servers import SMTPServer, TLSServer
from tests.support.services import ldap_server
from tests.support.tls import TLSListener

BY_NAME, WHOLE, NOT_AT_ALL = "by name", "all of it", "not at all"

_NODE = """
require("https").get("https://localhost:PORT/", reply => {
  reply.on("data", data => process.stdout.write(data));
}).on("error", error => { console.error(error.code); process.exit(1); });
"""
_URLLIB = 'import urllib.request as r; r.urlopen(\\"https://localhost:PORT/\\")'
_REQUESTS = 'import requests as r; r.get(\\"https://localhost:PORT/\\")'
_HTTPX = 'import httpx as r; r.get(\\"https://localhost:PORT/\\")'

#: Starts a server of the program on LOCAL with the file `configuration`, asks it, and ends it.
_AS_A_PROXY = """
COMMAND >log 2>&1 & server=$!
trap 'kill $server' EXIT
for attempt in 1 2 3 4 5 6 7 8 9 10; do
    sleep 0.2; answer=$(curl -q -sf --noproxy '*' http://127.0.0.1:LOCAL/) && break
done
cat log; test "$answer" = ok
"""
_STUNNEL = """
foreground = yes
pid =
[client]
client = yes
accept = 127.0.0.1:LOCAL
connect = 127.0.0.1:PORT
CApath = FOLDER
verifyChain = yes
checkHost = localhost
"""
_HAPROXY = """
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
listen proxy
    bind 127.0.0.1:LOCAL
    server upstream 127.0.0.1:PORT ssl verify required verifyhost localhost sni str(localhost) ca-file FILE
"""
_NGINX = """
daemon off;
master_process off;
pid WORK/nginx.pid;
error_log stderr;
events {}
http {
    access_log off;
    server {
        listen 127.0.0.1:LOCAL;
        location / {
            proxy_pass https://127.0.0.1:PORT;
            proxy_ssl_verify on;
            proxy_ssl_verify_depth 3;
            proxy_ssl_name localhost;
            proxy_ssl_trusted_certificate FILE;
        }
    }
}
"""


@dataclass(frozen=True)
class FolderTool:
    """One program: a shell script that connects to PORT, under the lines of `env --folder`, and ends with 0 if it can.

    FOLDER, FILE and ANCHOR stand for the trust folder, the bundle and `one-anchor.pem`; WORK is a folder, LOCAL a free
    port.
    """

    name: str
    program: str  #: that must be here
    script: str
    reads: str  #: BY_NAME, WHOLE or NOT_AT_ALL
    line: str  #: how it is pointed at what it should take
    version: str  #: the command that prints it
    server: Callable[[Leaf], TLSListener] = TLSServer
    configuration: str = ""  #: a file of this name in WORK
    host: str = "localhost"  #: by which it calls the server
    only_if: str = ""  #: a text in the output of `program --version`, where builds differ


def _version_of(package: str) -> str:
    return f"{sys.executable} -c 'import {package}; print({package}.__version__)'"


def _proxied(command: str) -> str:
    return _AS_A_PROXY.replace("COMMAND", command)


FOLDER_TOOLS = [
    FolderTool(
        "openssl s_client",
        "openssl",
        "openssl s_client -verify_return_error -verify_hostname localhost -connect 127.0.0.1:PORT",
        BY_NAME,
        "`SSL_CERT_DIR`",
        "openssl version",
    ),
    FolderTool(
        "curl with OpenSSL",
        "curl",
        "curl -sSf --noproxy '*' https://localhost:PORT/",
        BY_NAME,
        "`SSL_CERT_DIR`. Also put [two lines](operations.md#the-trust-folder), `capath` and `cacert`, into "
        "`~/.curlrc`; otherwise curl reads Debian's own CA file as well",
        "curl --version",
    ),
    FolderTool(
        "Node",
        "node",
        f"node --use-openssl-ca -e '{_NODE}'",
        BY_NAME,
        "`SSL_CERT_DIR`, with `--use-openssl-ca`; else the file",
        "node --version",
    ),
    FolderTool(
        "Python",
        sys.executable,
        f'{sys.executable} -c "{_URLLIB}"',
        BY_NAME,
        "`SSL_CERT_DIR`",
        f"{sys.executable} --version",
    ),
    FolderTool(
        "requests",
        sys.executable,
        f'{sys.executable} -c "{_REQUESTS}"',
        BY_NAME,
        "`REQUESTS_CA_BUNDLE`",
        _version_of("requests"),
    ),
    FolderTool(
        "httpx", sys.executable, f'{sys.executable} -c "{_HTTPX}"', BY_NAME, "`SSL_CERT_DIR`", _version_of("httpx")
    ),
    FolderTool(
        "Ruby",
        "ruby",
        "ruby -rnet/http -e 'Net::HTTP.get(URI(\"https://localhost:PORT/\"))'",
        BY_NAME,
        "`SSL_CERT_DIR`",
        "ruby -v",
    ),
    FolderTool(
        "PHP",
        "php",
        "php -r 'exit((int) !file_get_contents(\"https://localhost:PORT/\"));'",
        BY_NAME,
        "`SSL_CERT_DIR`",
        "php -v",
    ),
    FolderTool(
        "Postfix",
        "posttls-finger",
        "posttls-finger -c -l verify -F ANCHOR -P FOLDER "
        "'[127.0.0.1]:PORT' localhost >log 2>&1; cat log; grep -q Verified log",
        BY_NAME,
        "`smtp_tls_CApath`, if `smtp` is not chrooted",
        "postconf -d mail_version",
        SMTPServer,
    ),
    FolderTool(
        "stunnel",
        "stunnel4",
        _proxied("stunnel4 configuration"),
        WHOLE,
        "`CApath`: it reads all of it once, at its start",
        "stunnel4 -version",
        configuration=_STUNNEL,
    ),
    FolderTool(
        "HAProxy",
        "haproxy",
        _proxied("haproxy -f configuration"),
        NOT_AT_ALL,
        "`ca-file`: the file; from a folder, it only reads files named `.pem`, `.crt` or `.cer`",
        "haproxy -v",
        configuration=_HAPROXY,
    ),
    FolderTool(
        "nginx",
        "nginx",
        _proxied("nginx -p WORK -c WORK/configuration"),
        NOT_AT_ALL,
        "`proxy_ssl_trusted_certificate`: the file",
        "nginx -v",
        configuration=_NGINX,
    ),
    FolderTool(
        "wget with GnuTLS",
        "wget",
        "wget --no-config --no-proxy --no-hsts -q --tries=1 -O- --ca-directory=FOLDER https://localhost:PORT/",
        WHOLE,
        "`--ca-certificate`, `ca_certificate` in `~/.wgetrc`: the file",
        "wget --version",
        only_if="ssl/gnutls",
    ),
    FolderTool(
        "lftp with GnuTLS",
        "lftp",
        "lftp -c 'set dns:order inet; set ssl:ca-file FILE; open https://localhost:PORT/; cat /'",
        NOT_AT_ALL,
        "`set ssl:ca-file`: the file",
        "lftp --version",
    ),
    FolderTool(
        "OpenLDAP with GnuTLS",
        "ldapwhoami",
        "LDAPTLS_CACERTDIR=FOLDER ldapwhoami -x -H ldaps://localhost:PORT/ >log 2>&1; cat log; ! grep -q sasl_bind log",
        WHOLE,
        "`TLS_CACERT` in `ldap.conf`: the file",
        "ldapwhoami -VV",
        ldap_server,
        host=socket.gethostname(),  # as libldap calls localhost
    ),
]
