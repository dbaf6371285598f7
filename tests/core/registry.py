"""A registry of images on this machine, with one image, for an engine to fetch from."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import json
import tarfile
import threading
from contextlib import contextmanager

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def _digest(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _layer(text):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        info = tarfile.TarInfo("note")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text))
    return made.getvalue()


class Registry:
    """What the registry has, and what it was asked for."""

    def __init__(self):
        self.blobs = {}
        self.manifests = {}
        self.asked = []
        self.address = ""

    def put(self, name, text):
        """Give a name, such as ``app:1``, an image with one file."""
        layer = _layer(text.encode())
        packed = gzip.compress(layer, mtime=0)
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Cmd": ["/none"]},
                "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
            }
        ).encode()
        for data in (packed, config):
            self.blobs[_digest(data)] = data
        layers = [
            {
                "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                "size": len(packed),
                "digest": _digest(packed),
            }
        ]
        about = {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "size": len(config),
            "digest": _digest(config),
        }
        manifest = json.dumps(
            {"schemaVersion": 2, "mediaType": _MANIFEST, "config": about, "layers": layers}
        ).encode()
        repository, _, tag = name.partition(":")
        for reference in (tag, _digest(manifest)):
            self.manifests[f"{repository}/{reference}"] = manifest


def _handler(registry):
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def _reply(self, status, data, kind="application/json"):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            if kind == _MANIFEST:
                self.send_header("Docker-Content-Digest", _digest(data))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def do_GET(self):
            registry.asked.append(self.path)
            name, _, reference = self.path.removeprefix("/v2/").rpartition("/")
            repository, _, kind = name.rpartition("/")
            manifest = registry.manifests.get(f"{repository}/{reference}")
            if self.path == "/v2/":
                self._reply(200, b"{}")
            elif kind == "manifests" and manifest is not None:
                self._reply(200, manifest, _MANIFEST)
            elif kind == "blobs" and reference in registry.blobs:
                self._reply(200, registry.blobs[reference], "application/octet-stream")
            else:
                unknown = {"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}
                self._reply(404, json.dumps({"errors": [unknown]}).encode())

        def do_HEAD(self):
            self.do_GET()

    return Handler


@contextmanager
def serving():
    """Run a registry for as long as the block lasts; what has no image is a plain web server."""
    registry = Registry()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(registry)) as server:
        registry.address = f"127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield registry
        finally:
            server.shutdown()
            thread.join()
