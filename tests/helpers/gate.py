"""A TCP gate before a server: it can be shut and opened again on the same port, and can speak TLS."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
from pathlib import Path
from types import TracebackType


def find_openssl() -> str | None:
    return shutil.which("openssl")


def make_certificate(folder: Path) -> Path:
    """A self-signed certificate for 127.0.0.1 and its key, in one file."""
    openssl, file, key = find_openssl(), folder / "certificate.pem", folder / "key.pem"
    if openssl is None:
        raise FileNotFoundError("no openssl on the PATH")
    kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    names = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    command = [openssl, "req", "-x509", *kind, *names, "-keyout", str(key), "-out", str(file)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    file.write_bytes(file.read_bytes() + key.read_bytes())
    return file


class Gate:
    """`with Gate(double.origin) as gate:` lets connections to `gate.origin` through to the server behind.

    Args:
        origin: The server's address.
        certificate: File of a certificate with its key; then the outside is https.
    """

    def __init__(self, origin: str, certificate: Path | None = None) -> None:
        host, _, port = origin.partition("://")[2].partition(":")
        self._behind = (host, int(port))
        self._context: ssl.SSLContext | None = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate)
        self._port = 0
        self._listener: socket.socket | None = None
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []

    @property
    def origin(self) -> str:
        return f"{'http' if self._context is None else 'https'}://127.0.0.1:{self._port}"

    def __enter__(self) -> Gate:
        self.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.shut()
        for thread in self._threads:
            thread.join()

    def open(self) -> None:
        """Listen, on the same port as before."""
        self._listener = socket.create_server(("127.0.0.1", self._port), backlog=64)
        self._port = self._listener.getsockname()[1]
        self._start(self._accept, self._listener)

    def shut(self) -> None:
        """Refuse connections, and break those that there are."""
        with self._lock:
            listener, self._listener = self._listener, None
            sockets = {*self._sockets}
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for one in sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _start(self, target: object, *args: object) -> None:
        assert callable(target)
        thread = threading.Thread(target=target, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                outside, _ = listener.accept()
            except OSError:
                return
            self._start(self._connect, outside)

    def _connect(self, outside: socket.socket) -> None:
        try:
            if self._context is not None:
                outside = self._context.wrap_socket(outside, server_side=True)
            inside = socket.create_connection(self._behind)
        except OSError:  # the client does not trust us
            outside.close()
            return
        with self._lock:
            self._sockets |= {outside, inside}
            is_shut = self._listener is None
        if is_shut:
            self.shut()
        back = threading.Thread(target=_pass_on, args=(inside, outside))
        back.start()
        _pass_on(outside, inside)
        back.join()
        with self._lock:
            self._sockets -= {outside, inside}
        outside.close()
        inside.close()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while content := source.recv(65536):
            target.sendall(content)
    for one in (source, target):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
