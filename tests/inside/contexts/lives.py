"""What some programs do with their connections: resume sessions, send certificates late, serve by name.

Standard library only, from Python 3.9 on, as in `client`.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Sequence

from .client import ACCEPTED, Outcome, Setup, Visit, connect, new_context, show_the_programs, talk, visit


def resume(setup: Setup, ports: Sequence[int]) -> list[Outcome]:
    """Visit these servers with one context, each with the session of the visit before, if it had one."""
    context = new_context(setup)
    session = None
    outcomes = []
    for port in ports:
        with connect(context, port, session=session) as tls:
            outcomes.append(talk(tls))
            if outcomes[-1].accepted:
                session = tls.session
    return outcomes


def load_while_shaking_hands(setup: Setup, certificates: Sequence[str], port: int, times: int) -> list[Outcome]:
    """One thread loads client certificates all the while, and others shake hands; no SSL object is made meanwhile.

    A lock of the program's own keeps the making apart, as OpenSSL does not: it copies the context's certificate then.
    """
    context = new_context(setup)
    making, ends = threading.Lock(), threading.Event()

    def load() -> None:
        while not ends.wait(0.0005):
            for certificate in certificates:
                with making:
                    context.load_cert_chain(certificate)

    outcomes: list[Outcome] = []

    def meet() -> None:
        for _ in range(times):
            with making:
                tls = connect(context, port)
            with tls:
                outcomes.append(talk(tls))

    threads = [threading.Thread(target=meet) for _ in range(3)]
    loader = threading.Thread(target=load)
    for thread in (loader, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    ends.set()
    loader.join()
    return outcomes


def serve_by_name(setup: Setup, certificate: str, completes: bool) -> list[str]:
    """A server whose SNI callback brings another context, set up so, which requires a certificate of its client.

    Prints nothing and tells nobody its port: a client of its own thread connects, with `setup.certificate`. Returns
    what became of the client, and which context the connection shows in the end: the chosen one or another.
    """
    first, chosen = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for context in (first, chosen):
        context.load_cert_chain(certificate)
        context.verify_mode = ssl.CERT_REQUIRED
    if setup.flags is not None:
        first.verify_flags = chosen.verify_flags = ssl.VerifyFlags(setup.flags)
    chosen.load_verify_locations(cadata=setup.cadata)

    def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        connection.context = chosen

    first.sni_callback = choose
    if completes:
        import aia_store

        for context in (first, chosen):
            aia_store.complete(context, client_certificates=True)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    assert setup.certificate is not None
    client.load_cert_chain(setup.certificate)
    ours, theirs = socket.socketpair()
    visitor = threading.Thread(target=_shake_hands, args=(client, theirs))
    visitor.start()
    try:
        return _serve(first, chosen, ours)
    finally:
        ours.close()
        visitor.join()


def _serve(first: ssl.SSLContext, chosen: ssl.SSLContext, connection: socket.socket) -> list[str]:
    tls = first.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
    try:
        tls.do_handshake()
        verdict = ACCEPTED
        tls.sendall(b"ok")
    except ssl.SSLCertVerificationError as error:
        verdict = error.verify_message
    shown = "chosen" if tls.context is chosen and tls._sslobj.context is chosen else "another"  # type: ignore[attr-defined]
    tls.close()
    return [verdict, shown]


def _shake_hands(client: ssl.SSLContext, connection: socket.socket) -> None:
    try:
        with connection, client.wrap_socket(connection, server_hostname="by.name") as tls:
            tls.recv(10)
    except OSError:
        pass


def feed_bytes(setup: Setup, to: Visit) -> Outcome:
    """Make a handshake in memory, a byte at a time; between two steps, everybody sees the program's context."""
    context = new_context(setup)
    reads, writes = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(reads, writes, server_hostname=to.host)
    with socket.create_connection(("127.0.0.1", to.port), 30) as tcp:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                tcp.sendall(writes.read())
                reads.write(tcp.recv(1))
            except ssl.SSLCertVerificationError as error:
                return Outcome(error.verify_message)
            finally:
                show_the_programs(tls, context)
    return Outcome(ACCEPTED)


_contexts: dict[str, ssl.SSLContext] = {}


def go_on(name: str, setup: Setup, visits: Sequence[Visit]) -> list[Outcome]:
    """Visit servers with the context of this name, which is made for the first call and kept for the later ones."""
    if name not in _contexts:
        _contexts[name] = new_context(setup)
    return [visit(_contexts[name], to) for to in visits]
