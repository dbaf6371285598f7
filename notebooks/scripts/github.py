"""A stand-in for GitHub's API, so that the story of the agents needs no account.

    python github.py

Prints its address and answers until its standard input ends, as it does when whoever started it
is gone. It knows one repository and one gist, and keeps the pull requests that it is asked for.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

REPOSITORY = {
    "full_name": "ada/greeter",
    "description": "Greets whoever is named",
    "default_branch": "main",
}
TEMPLATE = {
    "greet.sh": '#!/bin/sh\n# WANTED\necho "Hello, ${1:-world}"\n',
    "test_greet.py": """import subprocess
import unittest


class Greet(unittest.TestCase):
    def greet(self, *names):
        return subprocess.check_output(["sh", "greet.sh", *names], text=True)

    def test_it_greets_whoever_is_named(self):
        self.assertEqual(self.greet("Ada"), "Hello, Ada\\n")

    def test_it_greets_the_world(self):
        self.assertEqual(self.greet(), "Hello, world\\n")
""",
    "README.md": "# greeter\n\nWANTED: `sh greet.sh Ada`\n",
}


class GitHub(BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"
    pulls: ClassVar[list[dict[str, Any]]] = []

    def do_GET(self) -> None:
        """Say what there is."""
        where = urlsplit(self.path)
        if where.path == "/repos/ada/greeter":
            self.say(200, REPOSITORY)
        elif where.path == "/gists/greeter":
            self.say(200, {"files": {name: {"content": text} for name, text in TEMPLATE.items()}})
        elif where.path == "/repos/ada/greeter/pulls":
            head = parse_qs(where.query).get("head", [""])[0].rpartition(":")[2]
            self.say(200, [pull for pull in self.pulls if head in {"", pull["head"]["ref"]}])
        else:
            self.say(404, {"message": "Not Found"})

    def do_POST(self) -> None:
        """Open a pull request."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not re.fullmatch("Bearer .+", self.headers.get("Authorization", "")):
            self.say(401, {"message": "Bad credentials"})
        elif urlsplit(self.path).path != "/repos/ada/greeter/pulls":
            self.say(404, {"message": "Not Found"})
        elif any(pull["head"]["ref"] == asked["head"] for pull in self.pulls):
            self.say(422, {"message": f"A pull request already exists for {asked['head']}."})
        else:
            ends = {end: {"ref": asked[end]} for end in ("head", "base")}
            number = len(self.pulls) + 1
            self.pulls.append({"number": number, "state": "open", **asked, **ends})
            self.say(201, self.pulls[-1])

    def say(self, status: int, value: object) -> None:
        """Answer with JSON."""
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    """Answer until the standard input ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), GitHub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
