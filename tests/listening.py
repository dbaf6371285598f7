"""Servers of a few lines, and a way to a real server that can be cut or fall silent."""

from __future__ import annotations

import contextlib
import socket
import threading


class Listener:
    """Listens on a port, and handles each connection in a thread of its own until it is closed.

    No connection outlives it: one that is taken while it closes is closed as well.

    Parameters
    ----------
    handle
        Called with each connection, which ends with the call or an OSError. None takes them and
        says nothing.
    host
        The address to listen on.

    Attributes
    ----------
    links
        The connections that came.
    closing
        Set when it closes.
    """

    def __init__(self, handle=None, host="127.0.0.1"):
        self.links = []
        self._handle = handle
        self._threads = []
        self._lock = threading.Lock()
        self._closed = False
        self.closing = threading.Event()
        self.server = socket.create_server((host, 0))
        self.port = self.server.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def _accept(self):
        while True:
            try:
                link, _ = self.server.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(link,), daemon=True)
            self.links.append(link)
            self._threads.append(thread)
            thread.start()

    def _serve(self, link):
        if self._handle is not None:
            with contextlib.suppress(OSError), link:
                self._handle(link)

    def keep(self, link):
        """Close another connection together with those that came."""
        with self._lock:
            if self._closed:
                link.close()
            else:
                self.links.append(link)

    def cut(self):
        """End all connections, and go on to listen."""
        for link in list(self.links):
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)

    def close(self):
        """End all connections, and wait for the threads that handle them."""
        self.server.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self.server.close()
        with self._lock:
            self._closed = True
        self.closing.set()
        self.cut()
        for thread in self._threads:
            thread.join(10)
        for link in self.links:
            link.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Relay(Listener):
    """Hands what comes on to a server, and its answers back.

    Parameters
    ----------
    target
        A port of the loopback, or the path of a socket.
    passes
        Called with the connection to the server and what is sent on it, either way; returns whether
        it goes on. A connection that fell silent stays open.
    host
        The address to listen on.
    """

    def __init__(self, target, passes=None, host="127.0.0.1"):
        self._target = target
        self._passes = passes or (lambda *_: True)
        super().__init__(self._connect, host)

    def _connect(self, near):
        far = self._dial()
        self.keep(far)
        back = threading.Thread(target=self._carry, args=(far, near, far), daemon=True)
        back.start()
        self._carry(near, far, far)
        back.join(10)

    def _dial(self):
        if isinstance(self._target, int):
            return socket.create_connection(("127.0.0.1", self._target))
        far = socket.socket(socket.AF_UNIX)
        try:
            far.connect(str(self._target))
        except OSError:
            far.close()
            raise
        return far

    def _carry(self, source, sink, far):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if self._passes(far, data):
                    sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)
