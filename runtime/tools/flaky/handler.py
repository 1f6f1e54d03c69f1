"""One connection of the simulator: reads a request in full, counts it, and answers or misbehaves."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, urlsplit

from runtime.tools.flaky.page import STYLE, draw_page
from runtime.tools.flaky.research import answer_search
from runtime.tools.flaky.writing import complete_chat, complete_in_another_shape

if TYPE_CHECKING:
    from runtime.tools.flaky.server import FlakyTools

MOST_BODY = 64_000_000  # bytes of a request
PRIVATE = "/_private"
BLOCK = 65_536
LOCAL_NAMES = ("127.0.0.1", "localhost", "::1")
POLICY = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

Headers = Mapping[str, str]


class Handler(BaseHTTPRequestHandler):
    """Serves one request, then closes: which requests came is then never a matter of connections kept alive."""

    protocol_version = "HTTP/1.1"
    server_version = "FlakyTools"
    sys_version = ""
    timeout = 60.0  # seconds for a client to send what it has to say

    @property
    def tools(self) -> FlakyTools:
        return cast("FlakyTools", self.server.tools)  # type: ignore[attr-defined]

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are told by the simulator itself, if anybody wants to know."""

    def _serve(self) -> None:
        self.close_connection = True
        body = self._read_body()
        if body is None:
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        path = urlsplit(self.path).path
        tool = path.strip("/").split("/", 1)[0]
        if tool in ("search", "writer"):
            mode = self.tools.count(tool, path, headers, body)
            self._answer(mode, tool, path, body)
        elif path == PRIVATE:
            self.tools.count_followed()
            self._say(200, {"proposals": []})
        else:
            self._control(path, headers, body)

    def _read_body(self) -> bytes | None:
        """The whole body; None if it did not come in full, or cannot be measured."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdecimal():
            self._say(411, {"error": "Send the body with a Content-Length."})
            return None
        if int(length) > MOST_BODY:
            self._say(413, {"error": "That is too large."})
            return None
        body = self.rfile.read(int(length))
        return body if len(body) == int(length) else None

    # How it misbehaves

    def _answer(self, mode: str, tool: str, path: str, body: bytes) -> None:
        odd: dict[str, Callable[[], None]] = {
            "down": lambda: self._say(503, {"error": "The service is down."}),
            "server_error": lambda: self._say(500, {"error": "Something broke."}),
            "refused": lambda: self._say(404, {"error": "There is nothing here."}),
            "rate_limited": lambda: self._say(
                429, {"error": "Too many requests."}, {"Retry-After": str(self.tools.retry_after)}
            ),
            "redirect": lambda: self._say(307, {}, {"Location": f"{self.tools.url}{PRIVATE}"}),
            "reset": self._reset,
            "huge": self._send_huge,
            "bad_json": lambda: self._send(200, b'{"proposals": [{"key": "evid'),
            "bad_schema": lambda: self._bad_schema(tool, body),
        }
        if mode in odd:
            odd[mode]()
        elif mode != "slow" or self.tools.wait(self.connection, self.tools.slow):
            status, answer = reply(tool, path, body)
            self._send(status, answer, trickle=mode == "slow_body")

    def _reset(self) -> None:
        """Closes so that the client gets a RST instead of an end."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _send_huge(self) -> None:
        """A JSON text of no stated length that goes on and on."""
        self._head(200, {})
        self.wfile.write(b'{"proposals": [')
        block = (b'"' + b"x" * 1021 + b'",') * (BLOCK // 1024)
        for _ in range(self.tools.huge // BLOCK + 1):
            self.wfile.write(block)
        self.wfile.write(b'""]}')

    def _bad_schema(self, tool: str, body: bytes) -> None:
        """JSON, and of the service's own form, but with something in it that was not asked for."""
        asked = _json_object(body) or {}
        if tool == "writer":
            self._say(200, complete_in_another_shape(asked))
        else:
            self._say(200, {"results": [{"title": "Ten facts", "rank": "first"}]})

    # Pages

    def _control(self, path: str, headers: Headers, body: bytes) -> None:
        host = urlsplit("//" + headers.get("host", ""))
        if host.hostname not in LOCAL_NAMES:  # a foreign name that was bent to this machine (DNS rebinding)
            self._say(403, {"error": "Ask for this machine by its own name."})
        elif self.command == "POST" and path == "/_mode":
            self._set_modes(headers, body)
        elif self.command == "GET" and path == "/_state":
            self._say(200, self.tools.state())
        elif self.command == "GET" and path == "/_style.css":
            self._send(200, STYLE.encode(), {"Content-Type": "text/css; charset=utf-8"})
        elif self.command == "GET" and path == "/":
            page = draw_page(self.tools.state()).encode()
            more = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": POLICY}
            self._send(200, page, more | {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"})
        else:
            self._say(404, {"error": "There is nothing here."})

    def _set_modes(self, headers: Headers, body: bytes) -> None:
        """Only for programs of this machine and for this very page: another site's form is refused."""
        origin = headers.get("origin")
        kind = headers.get("content-type", "").split(";")[0].strip().lower()
        is_form = kind == "application/x-www-form-urlencoded"
        if origin not in (None, f"http://{headers.get('host')}") or (is_form and origin is None):
            self._say(403, {"error": "Modes are set from this page or by a program, not by another site."})
            return
        if not is_form and kind != "application/json":  # what a foreign page can send without asking first
            self._say(415, {"error": 'Send {"tool", "mode"} as application/json.'})
            return
        asked = _form(body) if is_form else _json_object(body) or {}
        try:
            self.tools.mode(str(asked.get("tool", "")), str(asked.get("mode", "")))
        except ValueError as error:
            self._say(400, {"error": str(error)})
            return
        if is_form:
            self._send(303, b"", {"Location": "/"})
        else:
            self._say(200, self.tools.state())

    # Writing

    def _say(self, status: int, value: object, more: Headers | None = None) -> None:
        self._send(status, json.dumps(value, ensure_ascii=False).encode(), more)

    def _send(self, status: int, body: bytes, more: Headers | None = None, *, trickle: bool = False) -> None:
        """One answer; trickling, its body takes as long as the slow modes do, byte by byte."""
        self._head(status, {"Content-Length": str(len(body)), **(more or {})})
        if not trickle:
            self.wfile.write(body)
            return
        pause = self.tools.slow / max(len(body), 1)
        for at in range(len(body)):
            if not self.tools.wait(self.connection, pause):
                return
            self.wfile.write(body[at : at + 1])

    def _head(self, status: int, headers: Headers) -> None:
        self.send_response(status)
        for name, value in ({"Content-Type": "application/json"} | dict(headers)).items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()


def reply(tool: str, path: str, body: bytes) -> tuple[int, bytes]:
    """What a tool that is well answers: HTTP status and JSON text. It depends on what is asked alone."""
    asked = _json_object(body)
    if asked is None:
        return 400, b'{"error": "Send a JSON object."}'
    if tool == "search":
        found = answer_search(asked)
    elif path.endswith("/chat/completions"):
        found = complete_chat(asked)
    else:
        return 404, b'{"error": "There is nothing here."}'
    return 200, json.dumps(found, ensure_ascii=False).encode()


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _form(body: bytes) -> dict[str, Any]:
    return dict(parse_qsl(body.decode("utf-8", "replace")))
