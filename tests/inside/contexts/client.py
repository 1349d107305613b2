"""What the programs of these tests do: make a context, and connect to servers. Standard library only, from 3.9 on."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

ACCEPTED = "accepted"


@dataclass(frozen=True)
class Setup:
    """What a program does to its context, in the order of the fields. With none of them, it trusts nothing."""

    versions: tuple[str, str] | None = None  #: the lowest and the highest: "TLSv1_2", "TLSv1_3"
    flags: int | None = None  #: `verify_flags`; None: those of a bare SSLContext
    ciphers: tuple[str, ...] = ()  #: one after the other
    failing_ciphers: tuple[str, ...] = ()  #: after those; OpenSSL raises an error, which the program catches
    cadata: str = ""
    cafiles: tuple[str, ...] = ()
    capaths: tuple[str, ...] = ()
    certificate: str | None = None  #: a PEM file with a client certificate, what is sent after it, and its key
    post_handshake_auth: bool = False

    def __post_init__(self) -> None:
        """Python 3.9 pickles no `ssl.VerifyFlags` with a bit that it has no name for."""
        if self.flags is not None:
            object.__setattr__(self, "flags", int(self.flags))

    def apply(self, context: ssl.SSLContext) -> None:
        """Do it."""
        if self.versions is not None:
            context.minimum_version, context.maximum_version = (ssl.TLSVersion[name] for name in self.versions)
        if self.flags is not None:
            context.verify_flags = ssl.VerifyFlags(self.flags)
        for ciphers in self.ciphers:
            context.set_ciphers(ciphers)
        for ciphers in self.failing_ciphers:
            try:
                context.set_ciphers(ciphers)
            except ssl.SSLError:
                continue
            raise AssertionError(f"OpenSSL has ciphers for {ciphers}")
        if self.cadata:
            context.load_verify_locations(cadata=self.cadata)
        for cafile in self.cafiles:
            context.load_verify_locations(cafile=cafile)
        for capath in self.capaths:
            context.load_verify_locations(capath=capath)
        if self.certificate is not None:
            context.load_cert_chain(self.certificate)
        if self.post_handshake_auth:
            context.post_handshake_auth = True


@dataclass(frozen=True)
class Visit:
    """One connection to a server on loopback."""

    port: int
    host: str = "localhost"
    between: Setup | None = None  #: done to the context after the SSL object was made, before its handshake
    at: float = 0.0  #: not before this time


@dataclass(frozen=True)
class Outcome:
    """How a connection went."""

    verdict: str  #: ACCEPTED, OpenSSL's reason for refusing the certificate, or another error
    said: bytes = b""  #: by the server
    reused: bool | None = None  #: whether the session of an earlier connection was resumed

    @property
    def accepted(self) -> bool:
        return self.verdict == ACCEPTED


def new_context(setup: Setup) -> ssl.SSLContext:
    """A client's context that requires a certificate for the host, set up so."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    setup.apply(context)
    return context


def play(setup: Setup, steps: Sequence[Visit | Setup]) -> list[Outcome]:
    """The life of one context: it connects to servers, and is changed in between. Returns the outcomes."""
    context = new_context(setup)
    outcomes = []
    for step in steps:
        if isinstance(step, Setup):
            step.apply(context)
        else:
            outcomes.append(visit(context, step))
    return outcomes


def visit(context: ssl.SSLContext, to: Visit) -> Outcome:
    """Connect, ask and listen to the end."""
    time.sleep(max(0.0, to.at - time.time()))
    with connect(context, to.port, to.host) as tls:
        if to.between is not None:
            to.between.apply(context)
        return talk(tls)


def connect(
    context: ssl.SSLContext, port: int, host: str = "localhost", session: ssl.SSLSession | None = None
) -> ssl.SSLSocket:
    """A connection before its handshake."""
    tcp = socket.create_connection(("127.0.0.1", port), 30)
    return context.wrap_socket(tcp, server_hostname=host, do_handshake_on_connect=False, session=session)


def talk(tls: ssl.SSLSocket) -> Outcome:
    """Make a handshake and a request, and read to the end; at each pause, the program's context must be shown."""
    context, said = tls.context, b""
    try:
        try:
            tls.do_handshake()
            show_the_programs(tls, context)
            tls.sendall(b"GET / HTTP/1.1\r\n\r\n")
            while True:
                piece = tls.recv(4096)
                show_the_programs(tls, context)
                if not piece:
                    break
                said += piece
        finally:
            show_the_programs(tls, context)
    except ssl.SSLCertVerificationError as error:
        return Outcome(error.verify_message, said)
    except OSError as error:
        return Outcome(f"{type(error).__name__} {getattr(error, 'reason', None)}", said)
    return Outcome(ACCEPTED, said.partition(b"\r\n\r\n")[2], tls.session_reused)


def show_the_programs(tls: Any, context: ssl.SSLContext) -> None:
    """Nobody ever sees another context than the program's, neither in the socket nor in the C object below it."""
    assert tls.context is context
    assert tls._sslobj is None or tls._sslobj.context is context
