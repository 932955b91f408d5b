"""A real HTTP server on 127.0.0.1 that answers each request with the next prepared behaviour."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Literal, assert_never

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self


@dataclass(frozen=True)
class Reply:
    """Answer with these bytes."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Hang:
    """Say nothing (after the first `sent` bytes, if any) until the client goes or the test ends."""

    sent: bytes = b""


@dataclass(frozen=True)
class Drop:
    """Close the connection after `sent` bytes."""

    sent: bytes = b""


@dataclass(frozen=True)
class Flood:
    """Send a reply that never ends."""


@dataclass(frozen=True)
class Stream:
    """Send a reply piece by piece, and then end it as HTTP says ("end"), break the connection
    ("cut"), close it as if that were the end ("close"), say nothing more ("hang"), or send the last
    piece again and again ("repeat")."""

    pieces: tuple[bytes, ...]
    then: Literal["end", "cut", "close", "hang", "repeat"] = "end"
    media_type: str = "text/event-stream; charset=utf-8"
    pause: float = 0.0
    """Seconds between the pieces."""


@dataclass(frozen=True)
class Judge:
    """Look at the request first."""

    decide: Callable[[Request], Behaviour]


Behaviour = Reply | Hang | Drop | Flood | Stream | Judge


def events(*data: object, named: bool = False) -> tuple[bytes, ...]:
    """Server-sent events, one a piece: text as it is, all else as JSON."""
    return tuple(_event(item, named) for item in data)


def _event(data: object, named: bool) -> bytes:
    name = f"event: {data['type']}\n" if named and isinstance(data, dict) else ""
    text = data if isinstance(data, str) else json.dumps(data)
    return f"{name}data: {text}\n\n".encode()


def chat(content: object, **extra: object) -> Reply:
    """A well-formed chat reply."""
    choice = {"message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
    return json_reply({"choices": [choice], **extra})


def json_reply(data: object, status: int = 200, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(json.dumps(data).encode(), status, named)


@dataclass(frozen=True)
class Request:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def payload(self) -> dict[str, object]:
        return json.loads(self.body)


class ChatServer(ThreadingHTTPServer):
    """Behaves as told, in order; the last behaviour is repeated. `requests` holds what came."""

    daemon_threads = False
    block_on_close = True
    request_queue_size = 64  # many clients at once, none of which should have to knock twice

    def __init__(self, *behaviours: Behaviour) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behaviours = list(behaviours)
        self.requests: list[Request] = []
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.client_gone = threading.Event()
        self._serving = threading.Thread(target=self.serve_forever, args=(0.01,))

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def __enter__(self) -> Self:
        self._serving.start()
        return self

    def server_close(self) -> None:
        self.ended.set()
        self.shutdown()
        self._serving.join()
        super().server_close()

    def next_behaviour(self, request: Request) -> Behaviour:
        with self.lock:
            self.requests.append(request)
            return self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        request = Request(self.path, dict(self.headers), body)
        behaviour = self.chat_server.next_behaviour(request)
        while isinstance(behaviour, Judge):
            behaviour = behaviour.decide(request)
        self._behave(behaviour)

    def _behave(self, behaviour: Reply | Hang | Drop | Flood | Stream) -> None:
        match behaviour:
            case Reply():
                self._reply(behaviour)
            case Hang(sent):
                self.wfile.write(sent)
                self._wait_for_the_end()
            case Drop(sent):
                self.wfile.write(sent)
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
            case Flood():
                self._flood()
            case Stream():
                try:
                    self._stream(behaviour)
                except OSError:  # the client may go as soon as it knows enough
                    self.chat_server.client_gone.set()
            case _:
                assert_never(behaviour)

    @property
    def chat_server(self) -> ChatServer:
        assert isinstance(self.server, ChatServer)
        return self.server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Tests are quiet."""

    def _reply(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def _wait_for_the_end(self) -> None:
        self.close_connection = True
        self.connection.settimeout(0.02)
        while not self.chat_server.ended.is_set():
            with suppress(TimeoutError):
                if self._client_is_gone():
                    self.chat_server.client_gone.set()
                    return

    def _client_is_gone(self) -> bool:
        try:
            return self.connection.recv(1) == b""
        except ConnectionResetError:
            return True

    def _stream(self, stream: Stream) -> None:
        chunked = stream.then != "close"
        self.close_connection = stream.then != "end"
        self.send_response(200)
        self.send_header("Content-Type", stream.media_type)
        self.send_header(
            *(("Transfer-Encoding", "chunked") if chunked else ("X-Length", "unknown"))
        )
        self.end_headers()
        for piece in stream.pieces:
            self._send(piece, chunked)
            self.chat_server.ended.wait(stream.pause)
        match stream.then:
            case "end":
                self._send(b"", chunked)
            case "hang":
                self._wait_for_the_end()
            case "repeat":
                self._repeat(stream)
            case "cut" | "close":
                self.connection.shutdown(socket.SHUT_RDWR)

    def _send(self, piece: bytes, chunked: bool) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)

    def _repeat(self, stream: Stream) -> None:
        while not self.chat_server.ended.is_set():
            try:
                self._send(stream.pieces[-1], chunked=True)
            except OSError:
                self.chat_server.client_gone.set()
                return
            self.chat_server.ended.wait(stream.pause)

    def _flood(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.send_response(200)
            self.end_headers()
            while not self.chat_server.ended.is_set():
                self.wfile.write(b"x" * 65536)
        self.chat_server.client_gone.set()
