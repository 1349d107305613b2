"""Real clients, and whether they connect to localhost with a file of roots."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.manager.machine import HOOKED, Machine

#: For each client, a program that gets the file of roots and ports, and prints a line for each port it connects to.
_NODE = """
const [cafile, ...ports] = process.argv.slice(1);
const ca = require("fs").readFileSync(cafile);
for (const port of ports)
  require("tls").connect({host: "127.0.0.1", port, servername: "localhost", ca}, function () {
    console.log(port); this.destroy();
  }).on("error", () => {});
"""
_JAVA = """
import java.io.*; import java.nio.file.*; import java.security.*; import java.security.cert.*; import javax.net.ssl.*;
public class Connect {
  public static void main(String[] args) throws Exception {
    KeyStore store = KeyStore.getInstance("PKCS12");
    store.load(null, null);
    int number = 0;
    try (InputStream file = new FileInputStream(args[0])) {
      for (var root : CertificateFactory.getInstance("X.509").generateCertificates(file))
        store.setCertificateEntry("root" + number++, root);
    }
    TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX");
    trust.init(store);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(null, trust.getTrustManagers(), null);
    for (int at = 1; at < args.length; at++) {
      int port = Integer.parseInt(args[at]);
      try (SSLSocket socket = (SSLSocket) context.getSocketFactory().createSocket("localhost", port)) {
        SSLParameters parameters = socket.getSSLParameters();
        parameters.setEndpointIdentificationAlgorithm("HTTPS");
        socket.setSSLParameters(parameters);
        socket.startHandshake();
        System.out.println(args[at]);
      } catch (IOException refused) {
      }
    }
  }
}
"""
_GO = """
package main

import ("crypto/tls"; "crypto/x509"; "fmt"; "os")

func main() {
	roots := x509.NewCertPool()
	text, _ := os.ReadFile(os.Args[1])
	roots.AppendCertsFromPEM(text)
	for _, port := range os.Args[2:] {
		connection, err := tls.Dial("tcp", "127.0.0.1:"+port, &tls.Config{RootCAs: roots, ServerName: "localhost"})
		if err == nil {
			fmt.Println(port)
			connection.Close()
		}
	}
}
"""
_PYTHON = """
import socket, ssl, sys
for port in sys.argv[2:]:
    context = ssl.create_default_context(cafile=sys.argv[1])
    try:
        with socket.create_connection(("127.0.0.1", int(port)), 30) as tcp:
            with context.wrap_socket(tcp, server_hostname="localhost"):
                print(port)
    except ssl.SSLError:
        pass
"""

Ask = Callable[[Machine, Path, Sequence[int]], set[int]]


def _by(program: str, make: Callable[[Path], list[str]]) -> tuple[str, Ask]:
    """A client that tries all ports in one run of a program. `make` returns its command, and may write files."""

    def ask(machine: Machine, roots: Path, ports: Sequence[int]) -> set[int]:
        done = machine.execute(*make(machine.folder), roots, *ports)
        assert done.returncode == 0, done
        return {int(line) for line in done.stdout.split()}

    return program, ask


def _each(program: str, *command: str) -> tuple[str, Ask]:
    """A client that is run once for each port, and ends with status 0 if it connects."""

    def ask(machine: Machine, roots: Path, ports: Sequence[int]) -> set[int]:
        def connects(port: int) -> bool:
            filled = [part.replace("ROOTS", str(roots)).replace("PORT", str(port)) for part in command]
            return machine.execute(*filled).returncode == 0

        return {port for port in ports if connects(port)}

    return program, ask


def _written(name: str, text: str) -> Callable[[Path], str]:
    def write(folder: Path) -> str:
        (folder / name).write_text(textwrap.dedent(text))
        return str(folder / name)

    return write


_PYTHON_NOW = "Python from 3.13" if sys.version_info >= (3, 13) else "Python to 3.12"

#: By the name of its view: the program that must be installed, and how it is run.
CLIENTS: dict[str, list[tuple[str, Ask]]] = {
    _PYTHON_NOW: [_by(sys.executable, lambda _: [sys.executable, "-c", _PYTHON])],
    f"{_PYTHON_NOW} with the hook": [_each(sys.executable, sys.executable, "-c", HOOKED, "PORT", "ROOTS")],
    "curl, git with OpenSSL": [
        _each("curl", "curl", "-q", "-sf", "--noproxy", "*", "--cacert", "ROOTS", "https://localhost:PORT/"),
    ],
    "Ruby, PHP with OpenSSL": [
        _each(
            "openssl",
            *("openssl", "s_client", "-verify_return_error", "-verify_hostname", "localhost", "-no-CApath"),
            *("-CAfile", "ROOTS", "-connect", "127.0.0.1:PORT"),
        ),
    ],
    "Node": [_by("node", lambda _: ["node", "-e", _NODE])],
    "Java": [_by("javac", lambda folder: ["java", _written("Connect.java", _JAVA)(folder)])],
    "Go": [_by("go", lambda folder: ["go", "run", _written("connect.go", _GO)(folder)])],
}


def uses_gnutls(program: str) -> bool:
    """Whether this wget is made with GnuTLS, as Debian's is."""
    if shutil.which(program) is None:
        return False
    return "ssl/gnutls" in subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout


if uses_gnutls("wget"):
    CLIENTS["wget with GnuTLS"] = [
        _each(
            "wget",
            *("wget", "--no-config", "--no-proxy", "--no-hsts", "-q", "--tries=1", "-O/dev/null"),
            *("--ca-certificate=ROOTS", "https://localhost:PORT/"),
        )
    ]

CLIENTS["other programs with GnuTLS"] = [
    _each("gnutls-cli", "gnutls-cli", "--x509cafile=ROOTS", "--port=PORT", "localhost")
]
