"""A page over HTTP that follows a running search: it reads, and changes nothing."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from nas_search.core.errors import InputError, RunError

SECONDS = 5
"""How often a page asks whether there is something new."""

WATCHED = (
    *("run.sqlite*", "summary.json", "*.csv", "finalists/*.csv", "finalists/*/seed*/log.csv"),
    *("*/run.sqlite*", "*/summary.json", ".sweep/*.json"),
)
"""Files whose change is something new, of a run, a training, a ranking and a sweep."""

LOOPBACK = ("127.0.0.1", "::1", "localhost")

Make = Callable[[Mapping[str, Any]], str]
"""Makes the page, given what it must know to keep itself up to date."""


def state_of(folder: Path) -> str:
    """Return a text that changes whenever something new is written into ``folder``."""
    parts = []
    for pattern in WATCHED:
        for file in sorted(folder.glob(pattern)):
            if file.name.endswith("-shm"):  # readers touch it too
                continue
            try:
                about = file.stat()
            except OSError:  # it has just gone
                continue
            parts.append((str(file), about.st_size, about.st_mtime_ns))
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def server(folder: Path, make: Make, host: str, port: int) -> ThreadingHTTPServer:
    """Return a server of one page and its state, which listens; ``serve_forever`` runs it.

    On loopback it answers only to its own names, so that no page of another site can read it by
    a name that points here.

    Raises:
        OSError: the port is taken, or the host is none of this machine.
    """
    lock = threading.Lock()
    last: dict[str, str] = {}

    def page() -> str:
        with lock:  # one page is made at a time
            state = state_of(folder)
            if last.get("state") != state:
                last["page"] = make({"state": state, "seconds": SECONDS})
                last["state"] = state
            return last["page"]

    class Handler(BaseHTTPRequestHandler):
        server_version, sys_version = "nas_search", ""

        def do_GET(self) -> None:
            name = urlsplit(f"//{self.headers.get('Host', '')}").hostname
            if host in LOOPBACK and name not in LOOPBACK:
                self._answer(HTTPStatus.FORBIDDEN, "text/plain", "open it as http://localhost")
            elif self.path == "/state":
                self._answer(HTTPStatus.OK, "text/plain", state_of(folder))
            elif self.path == "/":
                try:
                    self._answer(HTTPStatus.OK, "text/html", page())
                except (InputError, RunError, OSError) as error:
                    text = f"nothing can be shown yet: {error}; reload this page in a while"
                    self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", text)
            else:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain", "there is one page: /")

        def _answer(self, status: HTTPStatus, kind: str, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Print nothing: a page asks every few seconds."""

    return (_Server6 if ":" in host else ThreadingHTTPServer)((host, port), Handler)


class _Server6(ThreadingHTTPServer):
    """The same for an address of IPv6."""

    address_family = socket.AF_INET6
