"""A small OpenAI-compatible server on this machine, with faults on request: to try a judge client without a network.

`with LoopbackServer(reply) as server:` serves `POST /v1/chat/completions`; `reply` makes the text of an answer from
the messages (or text and finish_reason), `fault` names what is unusual about a request's answer (a key of `FAULTS`), or
None. By hand:
`python tools/loopback_judge.py` prints its address, gives every answer the same grade and serves until it is stopped.
"""

from __future__ import annotations

import argparse
import gzip
import json
import threading
import zlib
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
            own.options_seen.append({name: value for name, value in request.items() if name != "messages"})
            if own.keep_headers:
                own.headers_seen.append(self.headers.get("Authorization", ""))
                own.names_seen.update(name.lower() for name in self.headers)
        refused = next((name for name in own.refuses if name in request), None)
        if refused is not None:
            self.give(400, {"error": {"message": own.refuses[refused], "param": None, "code": None}})
            return
        place, _, query = self.path.partition("?")
        fault = "no such address" if place != "/v1/chat/completions" else own.fault(request["messages"], attempt)
        if fault is not None and query != "moved":
            FAULTS[fault](self, own, request)
            return
        self.give(200, _completion(own, request))

    def give(self, status: int, body: Any, **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _completion(own: LoopbackServer, request: Mapping[str, Any]) -> dict[str, Any]:
    reply = own.reply(request["messages"])
    said, finish = (reply, "stop") if isinstance(reply, str) else reply
    read, written = len(request["messages"][-1]["content"].split()), len(said.split())
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": said}}
    usage = {"prompt_tokens": read, "completion_tokens": written}
    return {"object": "chat.completion", "model": request["model"], "choices": [choice], "usage": usage}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    owner: LoopbackServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that hangs up is the point of some faults


Fault = Callable[[_Handler, "LoopbackServer", dict[str, Any]], None]


def _error(status: int, message: str, code: str | int | None = None, **headers: str) -> Fault:
    return lambda handler, *_: handler.give(status, {"error": {"message": message, "code": code}}, **headers)


def _body(body: Any, **headers: str) -> Fault:
    return lambda handler, *_: handler.give(200, body, **headers)


def _hang(handler: _Handler, own: LoopbackServer, request: Any) -> None:
    own.closing.wait(own.hang_seconds)
    handler.close_connection = True


def _drip(handler: _Handler, own: LoopbackServer, request: Any) -> None:
    """A byte every twentieth of a second, each in time, and the whole never."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    while not own.closing.wait(0.05):
        handler.wfile.write(b" ")
    handler.close_connection = True


def _close(handler: _Handler, own: LoopbackServer, request: Any) -> None:
    """Half of what was announced, then the end."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [{"message": {"content": "Grade: [[7')
    handler.close_connection = True


def _told(handler: _Handler, own: LoopbackServer, request: Any) -> None:
    """Tell the client its own key, as a careless server might."""
    handler.give(401, {"error": {"message": f"bad key: {handler.headers.get('Authorization')}", "code": None}})


def _echo(handler: _Handler, own: LoopbackServer, request: Any) -> None:
    """A reply, and a reason for its end, that hold the client's own key."""
    body, key = _completion(own, request), handler.headers.get("Authorization", "")
    body["choices"][0]["message"]["content"] += f" ({key})"
    body["choices"][0]["finish_reason"] = f"stop: {key.upper()}"
    handler.give(200, body)


def _parts(handler: _Handler, own: LoopbackServer, request: Any) -> None:
    """The text in parts, the first of them a thought."""
    body = _completion(own, request)
    text = body["choices"][0]["message"]["content"]
    pieces = [{"type": "text", "text": piece} for piece in (text[:3], text[3:])]
    body["choices"][0]["message"]["content"] = [{"type": "thinking", "thinking": [{"text": "[[1]]"}]}, *pieces]
    handler.give(200, body)


def _events(handler: _Handler, own: LoopbackServer, request: Any) -> None:
    """The text as a stream of events that nobody wanted."""
    body = _completion(own, request)
    text, finish = body["choices"][0]["message"]["content"], body["choices"][0]["finish_reason"]
    deltas = [{"delta": {"role": "assistant", "content": None}}, *({"delta": {"content": one}} for one in text)]
    events = [{"choices": [one]} for one in (*deltas, {"delta": {}, "finish_reason": finish})]
    events.append({"choices": [], "usage": body["usage"]})
    lines = [": keep-alive", *(f"data: {json.dumps(one, ensure_ascii=False)}" for one in events), "data: [DONE]"]
    handler.give(200, "\n\n".join(lines).encode(), **{"Content-Type": "text/event-stream"})


def _packed(handler: _Handler, own: LoopbackServer, request: Any) -> None:
    content = gzip.compress(json.dumps(_completion(own, request)).encode())
    handler.give(200, content, **{"Content-Encoding": "gzip"})


def _bomb(handler: _Handler, own: LoopbackServer, request: Any) -> None:
    """Three million bytes that unpack to three thousand times as many: one block again and again, no end."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    start = packer.compress(b" ") + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(b" " * 2**20) + packer.flush(zlib.Z_FULL_FLUSH)
    handler.give(200, start + block * (3_000_000 // len(block)), **{"Content-Encoding": "gzip"})


def _moved(status: int, place: str) -> Fault:
    """`place`: "here" or "elsewhere", an address of the server's owner."""

    def move(handler: _Handler, own: LoopbackServer, request: Any) -> None:
        to = own.elsewhere if place == "elsewhere" else f"{own.base_url}/chat/completions?{place}"
        handler.give(status, b"", Location=to)

    return move


FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "too many": _error(429, "too many requests", **{"Retry-After": "0"}),
        "too many for an hour": _error(429, "too many requests", **{"Retry-After": "3600"}),
        "no quota": _error(429, "no quota left", "insufficient_quota"),
        "server error": _error(500, "internal error"),
        "overloaded": _error(503, "overloaded"),
        "hang": _hang,
        "drip": _drip,
        "close": _close,
        "half a document": _body(b'{"choices": [{"message": {"con'),
        "another document": _body({"choices": []}),
        "no document": _body(b"<html><b>busy</b></html>", **{"Content-Type": "text/html"}),
        "an error in place of a reply": _body({"error": {"message": "model is loading", "type": "server_error"}}),
        "a limit in place of a reply": _body({"error": {"message": "rate limit", "code": 429}}),
        "half a stream": _body(b'data: {"choices": [{"delta": {"content": "Grade: [[7"}}]}\n\n'),
        "parts": _parts,
        "events": _events,
        "packed": _packed,
        "bomb": _bomb,
        "packed otherwise": _body(b"x", **{"Content-Encoding": "br"}),
        "too large": _body(b" " * (5 * 2**20)),
        "moved": _moved(307, "moved"),
        "moved in a circle": _moved(308, "round"),
        "moved elsewhere": _moved(307, "elsewhere"),
        "found elsewhere": _moved(302, "elsewhere"),
        "wrong key": _error(401, "incorrect key"),
        "key told": _told,
        "key echoed": _echo,
        "no such model": _error(404, "no such model"),
        "no such address": _error(404, "no such address"),
        "bad request": _error(400, "unknown option"),
        "too long": _error(400, "This model's maximum context length is 8192 tokens.", "context_length_exceeded"),
        "filtered": _error(400, "The response was filtered by our policy.", "content_filter"),
        "too large for the server": lambda handler, *_: handler.give(413, b"<h1>413 Request Entity Too Large</h1>"),
    }
)


def no_fault(messages: Messages, attempt: int) -> str | None:
    """Every request is answered."""
    return None


class LoopbackServer:
    """Serves on 127.0.0.1 inside a `with` block. `requests`: how often each last message was asked.

    fault(messages, attempt) names the fault of the attempt-th request (from 1) with these messages, or gives None.
    refuses: options with which a request is refused, and the words. elsewhere: where a redirect leads.
    """

    def __init__(
        self,
        reply: Callable[[Messages], str | tuple[str, str]],
        fault: Callable[[Messages, int], str | None] = no_fault,
        hang_seconds: float = 60.0,
        keep_headers: bool = False,
        refuses: Mapping[str, str] = MappingProxyType({}),
        elsewhere: str = "",
    ) -> None:
        self.reply, self.fault, self.hang_seconds = reply, fault, hang_seconds
        self.keep_headers = keep_headers  # the keys of clients, in `headers_seen`: for tests of keys alone
        self.refuses, self.elsewhere = refuses, elsewhere
        self.requests: Counter[str] = Counter()
        self.headers_seen: list[str] = []
        self.names_seen: set[str] = set()  # of headers
        self.options_seen: list[dict[str, Any]] = []
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
