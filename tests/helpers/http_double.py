"""A server on loopback that stands in for a vendor's service, remembers what it was asked and fails on demand."""

from __future__ import annotations

import contextlib
import gzip
import json
import math
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, TypeVar
from urllib.parse import parse_qsl, urlsplit

Self = TypeVar("Self", bound="HttpDouble")


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived; `headers` has lower-case names, `connection` counts TCP connections from 1."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any
    text: str
    operation: str
    time_s: float
    connection: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back: a JSON value, or text that is sent as it is (HTML when it begins with `<`)."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def content(self) -> tuple[str, bytes]:
        """Content type and bytes of the body."""
        if isinstance(self.body, bytes):
            return "application/octet-stream", self.body
        if isinstance(self.body, str):
            kind = "text/html" if self.body.lstrip().startswith("<") else "text/plain"
            return f"{kind}; charset=utf-8", self.body.encode()
        return "application/json; charset=utf-8", json.dumps(self.body, separators=(",", ":")).encode()


@dataclass(slots=True)
class Fault:
    """What goes wrong with the requests that match `on`: an operation, a path, a predicate, or None for every request.

    The first `skip` matches pass, the next `times` are hit (None: all of them). With a `status` that answer goes out, and
    with `then` the connection suffers: `hang` never answers, `reset` sends RST, `cut` closes in the middle of the body,
    `drip` sends a few bytes at a time. `rewrite` changes the JSON value that the double would have sent. `applied` says
    whether the request takes effect first; left at None, it does so unless `status` is given.
    """

    on: str | Callable[[Request], bool] | None = None
    times: int | None = 1
    skip: int = 0
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    then: Literal["answer", "hang", "reset", "cut", "drip"] = "answer"
    rewrite: Callable[[Request, Any], Any] | None = None
    applied: bool | None = None
    delay_s: float = 0.0
    drip_s: float = 0.05
    n_matched: int = field(default=0, init=False)
    n_hit: int = field(default=0, init=False)

    def hits(self, request: Request) -> bool:
        """Whether this request is the one to suffer; counts it."""
        is_named = self.on is None or self.on in {request.operation, request.path}
        matches = self.on(request) if callable(self.on) else is_named
        if not matches or (self.times is not None and self.n_hit >= self.times):
            return False
        self.n_matched += 1
        if self.n_matched <= self.skip:
            return False
        self.n_hit += 1
        return True

    @property
    def is_applied(self) -> bool:
        return self.status is None if self.applied is None else self.applied


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.number = self.server.double._sockets[self.connection]

    def finish(self) -> None:
        self.server.double._closed(self.connection)
        super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the test's output clean."""

    def _serve(self) -> None:
        self.server.double._serve(self, self.number)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve  # noqa: N815


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for them
    request_queue_size = 128
    double: HttpDouble

    def process_request(self, request: Any, client_address: Any) -> None:
        self.double._opened(request)
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no error; mistakes of the double or of a test's hook are kept in `crashes`."""
        error = sys.exc_info()[1]
        if isinstance(error, Exception) and not isinstance(error, OSError):
            self.double.crashes.append(error)


class HttpDouble:
    """Base of the doubles: `with KiliDouble() as double:` serves `double.url` until the block ends.

    Settable at any time: `delay_s` (after a request took effect, before its answer), `faults`, `before_each` (called with
    each request before it takes effect), `limit_per_minute` with `limit_window_s`, `refuses_gzip`.
    """

    def __init__(self) -> None:
        self.delay_s = 0.0
        self.faults: list[Fault] = []
        self.before_each: Callable[[Request], None] | None = None
        self.limit_per_minute: int | None = None
        self.limit_window_s = 60.0
        self.refuses_gzip = False
        self.requests: list[Request] = []
        self.crashes: list[Exception] = []
        self.lock = threading.RLock()
        self._served_at: deque[float] = deque()
        self._closing = threading.Event()
        self._sockets: dict[socket.socket, int] = {}
        self._n_connections = 0
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.double = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        """Where a client is to be pointed."""
        return self.origin

    @property
    def n_connections(self) -> int:
        """How many TCP connections were opened so far."""
        return self._n_connections

    def __enter__(self: Self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
        if self.crashes and error is None:
            raise self.crashes[0]

    def close(self) -> None:
        """Stop serving; whoever still waits for an answer sees the connection close."""
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        with self.lock:
            for connection in self._sockets:
                _shut(connection)
        self._server.server_close()

    def asked(self, operation: str) -> list[Request]:
        """The recorded requests of one operation, or of one path, in the order of arrival."""
        with self.lock:
            return [request for request in self.requests if operation in {request.operation, request.path}]

    def operation_of(self, method: str, path: str, body: Any) -> str:
        """The name under which faults and tests know a request."""
        return path.rstrip("/").rpartition("/")[2]

    def answer(self, request: Request) -> Answer:
        """Apply a request and say what to send; runs under `lock`."""
        raise NotImplementedError

    def refuse_limit(self, wait_s: float) -> Answer:
        """What somebody hears who comes too often."""
        return Answer(429, {"message": "Too Many Requests"}, {"Retry-After": str(math.ceil(wait_s))})

    def _opened(self, connection: socket.socket) -> None:
        with self.lock:
            self._n_connections += 1
            self._sockets[connection] = self._n_connections

    def _closed(self, connection: socket.socket) -> None:
        with self.lock:
            del self._sockets[connection]

    def _serve(self, handler: _Handler, number: int) -> None:
        request = self._read(handler, number)
        with self.lock:
            self.requests.append(request)
        if self.before_each is not None:
            self.before_each(request)
        with self.lock:
            fault = next((fault for fault in self.faults if fault.hits(request)), None)
            answer = self._answer(request, fault)
        pause_s = self.delay_s + (fault.delay_s if fault else 0.0)
        if pause_s:
            self._closing.wait(pause_s)
        _send(handler, answer, fault)

    def _read(self, handler: _Handler, number: int) -> Request:
        parts = urlsplit(handler.path)
        headers = {name.lower(): value for name, value in handler.headers.items()}
        raw = handler.rfile.read(int(headers.get("content-length", 0)))
        if headers.get("content-encoding") == "gzip" and not self.refuses_gzip:
            raw = gzip.decompress(raw)
        text = raw.decode("utf-8", "replace")
        body = _json_or_none(text)
        operation = self.operation_of(handler.command, parts.path, body)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        return Request(handler.command, parts.path, query, headers, body, text, operation, time.monotonic(), number)

    def _answer(self, request: Request, fault: Fault | None) -> Answer:
        wait_s = self._wait_s(request.time_s)
        if wait_s > 0:
            return self.refuse_limit(wait_s)
        if request.headers.get("content-encoding") == "gzip" and self.refuses_gzip:
            return Answer(415, "Unsupported Media Type")
        answer = Answer()
        if fault is None or fault.is_applied:
            try:
                answer = self.answer(request)
            except Exception as error:
                self.crashes.append(error)
                return Answer(500, f"the double is mistaken: {error!r}")
        if fault is not None and fault.rewrite is not None:
            answer = Answer(answer.status, fault.rewrite(request, answer.body), answer.headers)
        if fault is not None and fault.status is not None:
            answer = Answer(fault.status, fault.body, fault.headers)
        return answer

    def _wait_s(self, now_s: float) -> float:
        if self.limit_per_minute is None:
            return 0.0
        while self._served_at and self._served_at[0] <= now_s - self.limit_window_s:
            self._served_at.popleft()
        if len(self._served_at) >= self.limit_per_minute:
            return self._served_at[0] + self.limit_window_s - now_s
        self._served_at.append(now_s)
        return 0.0


def _json_or_none(text: str) -> Any:
    """The JSON value, or None for what is no JSON; NaN and Infinity are none."""

    def refuse(token: str) -> Any:
        raise ValueError(token)

    try:
        return json.loads(text, parse_constant=refuse)
    except ValueError:
        return None


def _send(handler: _Handler, answer: Answer, fault: Fault | None) -> None:
    kind, content = answer.content()
    then = fault.then if fault else "answer"
    phrase = HTTPStatus(answer.status).phrase if answer.status in set(HTTPStatus) else "Unknown"
    lines = [f"HTTP/1.1 {answer.status} {phrase}", f"Content-Length: {len(content)}"]
    if not any(name.lower() == "content-type" for name in answer.headers):
        lines.append(f"Content-Type: {kind}")
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    head = ("\r\n".join(lines) + "\r\n\r\n").encode()
    connection = handler.connection
    if then != "answer":
        handler.close_connection = True
    try:
        if then == "hang":
            while connection.recv(65536):  # until the client hangs up, or the double closes
                pass
        elif then == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            # The server shuts a socket down before it closes it, which would send FIN first.
            connection.close()
        elif then == "cut":
            connection.sendall(head + content[: len(content) // 2])
        elif then == "drip" and fault is not None:
            connection.sendall(head)
            step = max(1, len(content) // 20)
            for start in range(0, len(content), step):
                time.sleep(fault.drip_s)
                connection.sendall(content[start : start + step])
        else:
            connection.sendall(head if handler.command == "HEAD" else head + content)
    except OSError:
        handler.close_connection = True


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
