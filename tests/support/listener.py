"""A TCP server for tests: ready when made, gone without trace when closed."""

from __future__ import annotations

import contextlib
import socket
import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self


class Listener(ABC):
    """Listens on 127.0.0.1, or where `address` says; one thread accepts, and every connection is served in its own.

    `port` is where (give one to listen there, else any free one is taken); `connections` counts what was
    accepted. Closing it, or leaving its `with`, refuses further connections, ends the open ones and waits for
    their threads.
    """

    address = "127.0.0.1"

    def __init__(self, port: int = 0) -> None:
        self.connections = 0
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._open: dict[threading.Thread, socket.socket] = {}
        self._socket = socket.socket()
        # So that a port can be used again while connections of the one before it linger.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((self.address, port))
        self._socket.listen(256)
        self.port: int = self._socket.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    @abstractmethod
    def serve(self, connection: socket.socket) -> None:
        """Talk to one client; the connection is closed on return, and its errors are nobody's concern."""

    def close(self) -> None:
        """Stop, quickly, whatever the connections are doing."""
        self._closed.set()
        # shutdown() wakes accept() on Linux, close() does elsewhere.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._acceptor.join(5)
        with self._lock:
            threads = list(self._open)
            for handle in self._open.values():
                with contextlib.suppress(OSError):
                    handle.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                self._closed.wait(0.05)
                continue
            thread = threading.Thread(target=self._run, args=(connection,), daemon=True)
            with self._lock:
                self.connections += 1
                # A second handle: TLS takes the first one over, and close() must still reach the connection.
                self._open[thread] = connection.dup()
            thread.start()

    def _run(self, connection: socket.socket) -> None:
        try:
            with connection, contextlib.suppress(OSError):
                self.serve(connection)
        finally:
            with self._lock:
                self._open.pop(threading.current_thread()).close()
