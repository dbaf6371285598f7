"""A receiver of OTLP over HTTP on the loopback, which reads what comes as a collector does."""

from __future__ import annotations

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.waiting import until


class Receiver:
    """Keeps the spans that come, with the attributes of their resources and their scopes.

    Attributes
    ----------
    spans
        Pairs of a span of the protocol and the attributes of its resource.
    scopes
        Pairs of a scope and the URL of its schema.
    headers
        The headers of each request.
    refuse
        Given the headers of a request, returns the reason with which it is refused; None for none.
    """

    def __init__(self):
        self.spans, self.scopes, self.headers = [], [], []
        self.refuse = None
        self.redirect = None
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if receiver.redirect is not None:
                    self.send_response(302)
                    self.send_header("Location", receiver.redirect)
                elif receiver.refuse is None:
                    receiver.take(self.path, dict(self.headers), body)
                    self.send_response(200)
                else:
                    self.send_response(401, receiver.refuse(self.headers))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def take(self, path, headers, body):
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
            ExportTraceServiceRequest,
        )

        assert path == "/v1/traces"
        self.headers.append(headers)
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = attributes_of(of_resource.resource)
            for of_scope in of_resource.scope_spans:
                self.scopes.append((of_scope.scope, of_scope.schema_url))
                self.spans += [(span, resource) for span in of_scope.spans]

    def named(self, name):
        """Return the first span of a name, as soon as it has come, with its resource."""
        return until(lambda: next((one for one in self.spans if one[0].name == name), None))

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextlib.contextmanager
def receiving():
    """Return a receiver for a block."""
    receiver = Receiver()
    try:
        yield receiver
    finally:
        receiver.close()


def attributes_of(one):
    """Return the attributes of a span, an event or a resource as a dictionary."""
    found = {}
    for pair in one.attributes:
        kind = pair.value.WhichOneof("value")
        value = getattr(pair.value, kind)
        found[pair.key] = (
            [one.string_value for one in value.values] if kind == "array_value" else value
        )
    return found
