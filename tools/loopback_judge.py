"""A small OpenAI-compatible server on this machine, with faults on request: to try a judge client without a network.

`with LoopbackServer(reply) as server:` serves `POST /v1/chat/completions`; `reply` makes the text of an answer from
the messages, `fault` names what goes wrong with a request (a key of `FAULTS`), or None. By hand:
`python tools/loopback_judge.py` prints its address, gives every answer the same grade and serves until it is stopped.
"""

from __future__ import annotations

import argparse
import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any

Messages = Sequence[Mapping[str, str]]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        own = self.server.owner
        text = request["messages"][-1]["content"]
        with own.lock:
            own.requests[text] += 1
            attempt = own.requests[text]
            if own.keep_headers:
                own.headers_seen.append(self.headers.get("Authorization", ""))
        fault = "no such address" if self.path != "/v1/chat/completions" else own.fault(request["messages"], attempt)
        if fault is not None:
            FAULTS[fault](self, own)
            return
        said = own.reply(request["messages"])
        usage = {"prompt_tokens": len(text.split()), "completion_tokens": len(said.split())}
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": said}}
        self.give(200, {"object": "chat.completion", "model": request["model"], "choices": [choice], "usage": usage})

    def give(self, status: int, body: Any, **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    owner: LoopbackServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that hangs up is the point of some faults


def _error(status: int, message: str, code: str | None = None, **headers: str) -> Callable[[Any, Any], None]:
    return lambda handler, own: handler.give(status, {"error": {"message": message, "code": code}}, **headers)


def _hang(handler: _Handler, own: LoopbackServer) -> None:
    own.closing.wait(own.hang_seconds)
    handler.close_connection = True


def _drip(handler: _Handler, own: LoopbackServer) -> None:
    """A byte every twentieth of a second, each in time, and the whole never."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    while not own.closing.wait(0.05):
        handler.wfile.write(b" ")
    handler.close_connection = True


def _close(handler: _Handler, own: LoopbackServer) -> None:
    """Half of what was announced, then the end."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [{"message": {"content": "Grade: [[7')
    handler.close_connection = True


def _echo(handler: _Handler, own: LoopbackServer) -> None:
    """Tell the client its own key, as a careless server might."""
    handler.give(401, {"error": {"message": f"bad key: {handler.headers.get('Authorization')}", "code": None}})


FAULTS: Mapping[str, Callable[[Any, Any], None]] = MappingProxyType(
    {
        "too many": _error(429, "too many requests", **{"Retry-After": "0"}),
        "too many for an hour": _error(429, "too many requests", **{"Retry-After": "3600"}),
        "no quota": _error(429, "no quota left", "insufficient_quota"),
        "server error": _error(500, "internal error"),
        "overloaded": _error(503, "overloaded"),
        "hang": _hang,
        "drip": _drip,
        "close": _close,
        "half a document": lambda handler, own: handler.give(200, b'{"choices": [{"message": {"con'),
        "another document": lambda handler, own: handler.give(200, {"choices": []}),
        "no document": lambda handler, own: handler.give(200, b"<html>busy</html>", **{"Content-Type": "text/html"}),
        "wrong key": _error(401, "incorrect key"),
        "key told": _echo,
        "no such model": _error(404, "no such model"),
        "no such address": _error(404, "no such address"),
        "bad request": _error(400, "unknown option"),
    }
)


def no_fault(messages: Messages, attempt: int) -> str | None:
    """Every request is answered."""
    return None


class LoopbackServer:
    """Serves on 127.0.0.1 inside a `with` block. `requests`: how often each last message was asked.

    fault(messages, attempt) names the fault of the attempt-th request (from 1) with these messages, or gives None.
    """

    def __init__(
        self,
        reply: Callable[[Messages], str],
        fault: Callable[[Messages, int], str | None] = no_fault,
        hang_seconds: float = 60.0,
        keep_headers: bool = False,
    ) -> None:
        self.reply, self.fault, self.hang_seconds = reply, fault, hang_seconds
        self.keep_headers = keep_headers  # the keys of clients, in `headers_seen`: for tests of keys alone
        self.requests: Counter[str] = Counter()
        self.headers_seen: list[str] = []
        self.lock = threading.Lock()
        self.closing = threading.Event()

    def __enter__(self) -> LoopbackServer:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        self.base_url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()


def main() -> None:
    """Serve until stopped."""
    options = argparse.ArgumentParser(description="An OpenAI-compatible judge on this machine that grades all alike.")
    options.add_argument("--grade", type=int, default=7, help="from 1 to 10")
    grade = options.parse_args().grade
    with LoopbackServer(lambda messages: f"Grade: [[{grade}]]") as server:
        print(server.base_url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
