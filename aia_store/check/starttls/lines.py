"""STARTTLS in text protocols: SMTP, IMAP, POP3, FTP and XMPP."""

from __future__ import annotations

import html

from .conversation import Conversation, declined, unexpected

_XMPP_TLS = b"urn:ietf:params:xml:ns:xmpp-tls"


def smtp(talk: Conversation, name: str) -> None:
    """RFC 3207. A client must send EHLO before STARTTLS, to learn what the server supports."""
    _expect(talk, "SMTP", b"220")
    talk.send(b"EHLO localhost\r\n")
    offers = _expect(talk, "SMTP", b"250")
    if b"STARTTLS" not in {line[4:].strip().upper() for line in offers}:
        raise declined(b" ".join(offers))
    _request(talk, b"STARTTLS\r\n", b"220")


def ftp(talk: Conversation, name: str) -> None:
    """AUTH TLS: RFC 4217, 4."""
    _expect(talk, "FTP", b"220")
    _request(talk, b"AUTH TLS\r\n", b"234")


def imap(talk: Conversation, name: str) -> None:
    """STARTTLS: RFC 3501, 6.2.1."""
    greeting = talk.line()
    if not greeting.upper().startswith(b"* OK"):
        raise unexpected("IMAP", greeting)
    talk.send(b"a STARTTLS\r\n")
    while (line := talk.line()).startswith(b"*"):  # untagged responses may come at any time
        pass
    if not line.upper().startswith(b"A OK"):
        raise declined(line)


def pop3(talk: Conversation, name: str) -> None:
    """STLS: RFC 2595, 4."""
    greeting = talk.line()
    if not greeting.startswith(b"+OK"):
        raise unexpected("POP3", greeting)
    talk.send(b"STLS\r\n")
    line = talk.line()
    if not line.startswith(b"+OK"):
        raise declined(line)


def xmpp(talk: Conversation, name: str) -> None:
    """RFC 6120, 5.4. The few relevant elements are searched as text, so that no hostile XML is parsed."""
    talk.send(
        b"<?xml version='1.0'?><stream:stream version='1.0' xmlns='jabber:client'"
        b" xmlns:stream='http://etherx.jabber.org/streams' to='%b'>" % html.escape(name).encode()
    )
    opening = talk.until(b">")
    if b"<stream:stream" not in opening:  # after the XML declaration
        opening += talk.until(b">")
    if b"<stream:stream" not in opening:
        raise unexpected("XMPP", opening)
    features = talk.until(b"</stream:features>", b"<stream:features/>", b"</stream:stream>")
    if _XMPP_TLS not in features:
        raise declined(features)
    talk.send(b"<starttls xmlns='%b'/>" % _XMPP_TLS)
    answer = talk.until(b">")
    if b"<proceed" not in answer:
        raise declined(answer)


def _expect(talk: Conversation, protocol: str, code: bytes) -> list[bytes]:
    """The lines of an SMTP or FTP reply; the reply must have this code."""
    lines = _reply(talk)
    if not lines[-1].startswith(code):
        raise unexpected(protocol, lines[-1])
    return lines


def _request(talk: Conversation, command: bytes, code: bytes) -> None:
    talk.send(command)
    line = _reply(talk)[-1]
    if not line.startswith(code):
        raise declined(line)


def _reply(talk: Conversation) -> list[bytes]:
    """A reply of one or more lines: the last has the first one's code and no hyphen (RFC 959, 4.2; RFC 5321, 4.2)."""
    lines = [talk.line()]
    code = lines[0][:3]
    while lines[0][3:4] == b"-" and not (lines[-1][:3] == code and lines[-1][3:4] != b"-"):
        lines.append(talk.line())
    return lines
