"""A fake of the chat API of language models, on the loopback: no account, no network.

It answers by a function, in one piece or as server-sent events, and keeps what it was asked.
"""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Answer", "ChatAPI", "call", "turn_of"]


@dataclass
class Answer:
    """An answer of the model, or another behaviour of its server."""

    text: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    tokens: tuple[int, int] = (10, 5)
    pause: float = 0.0
    """Seconds before each token."""
    breaks: int | None = None
    """The number of tokens after which the connection is cut."""
    hangs: bool = False
    raw: bytes | None = None


def call(name: str, arguments: dict[str, Any], number: str = "") -> dict[str, Any]:
    """Return a call of a tool, as a model asks for it."""
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {"id": number or f"call_{name}", "type": "function", "function": function}


def turn_of(request: dict[str, Any]) -> int:
    """Return how often the model has answered in a conversation."""
    return sum(message["role"] == "assistant" for message in request["messages"])


class ChatAPI:
    """The server; ``with ChatAPI(answer) as api: api.url``.

    ``answer`` is given each request and returns an `Answer`, or its text.
    """

    def __init__(self, answer: Callable[[dict[str, Any]], Answer | str], port: int = 0) -> None:
        self.answer = answer
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.stopping = threading.Event()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.api = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """The address, as ``base_url`` takes it."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def turns(self) -> list[int]:
        """The turn of each request that came in."""
        return [turn_of(request) for request in self.requests]

    def close(self) -> None:
        """Stop the server."""
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    api: ChatAPI


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        """Answer a request."""
        api = self.server.api
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        api.keys.append(self.headers.get("authorization", "").removeprefix("Bearer "))
        api.requests.append(request)
        found = api.answer(request)
        answer = Answer(found) if isinstance(found, str) else found
        if answer.hangs:
            api.stopping.wait(60)
            return
        with suppress(BrokenPipeError, ConnectionResetError):
            self._send(request, answer)

    def _send(self, request: dict[str, Any], answer: Answer) -> None:
        if answer.status != 200 or answer.raw is not None:  # noqa: PLR2004 - as HTTP has it
            error = {"error": {"message": answer.text, "type": "fake"}}
            self._head(answer, "application/json")
            self.wfile.write(answer.raw or json.dumps(error).encode())
        elif request.get("stream"):
            self._head(answer, "text/event-stream")
            self._stream(request["model"], answer)
        else:
            self._head(answer, "application/json")
            self.wfile.write(json.dumps(_whole(request["model"], answer)).encode())

    def _stream(self, model: str, answer: Answer) -> None:
        for n, chunk in enumerate(_chunks(model, answer)):
            if n == answer.breaks:
                return
            time.sleep(answer.pause)
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
            self.wfile.flush()
        self.wfile.write(b"data: [DONE]\n\n")

    def _head(self, answer: Answer, kind: str) -> None:
        self.send_response(answer.status)
        for name, value in {"Content-Type": kind, **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _usage(answer: Answer) -> dict[str, int]:
    asked, said = answer.tokens
    return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}


def _whole(model: str, answer: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or None}
    if answer.calls:
        message["tool_calls"] = answer.calls
    reason = "tool_calls" if answer.calls else "stop"
    choice = {"index": 0, "message": message, "finish_reason": reason}
    kind = "chat.completion"
    known = {"id": "chat-1", "object": kind, "created": 1, "model": model}
    return {**known, "choices": [choice], "usage": _usage(answer)}


def _chunks(model: str, answer: Answer) -> Iterator[dict[str, Any]]:
    def chunk(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        kind = "chat.completion.chunk"
        return {"id": "chat-1", "object": kind, "created": 1, "model": model, "choices": [choice]}

    words = answer.text.split(" ")
    for n, word in enumerate(words if answer.text else []):
        yield chunk({"role": "assistant", "content": word + " " * (n < len(words) - 1)})
    for n, one in enumerate(answer.calls):
        yield chunk({"role": "assistant", "tool_calls": [{"index": n, **one}]})
    yield chunk({}, "tool_calls" if answer.calls else "stop")
    yield {**chunk({}), "choices": [], "usage": _usage(answer)}
