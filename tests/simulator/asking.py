"""Asking the simulator, as a client that looks at the socket."""

from __future__ import annotations

import json
import socket
from http.client import HTTPConnection, HTTPResponse
from typing import Any

from runtime.tools.flaky import FlakyTools

SEARCH: dict[str, Any] = {
    "contract": "converge-agent/1",
    "item": {"subject": "Podcasts", "value": {}, "confidence": 1.0},
    "facts": {},
    "writes": {"evidence.web": {"type": "object", "properties": {"interest": {}, "change": {}}}},
}


POSTED = b"POST /search HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"


SUMMARY = {"type": "object", "properties": {"summary": {"type": "string"}}, "required": ["summary"]}


CHAT: dict[str, Any] = {
    "model": "small",
    "messages": [
        {"role": "user", "content": '{"headline": "Back Podcasts; keep nothing; cut Radio spots."}'}
    ],
    "response_format": {"type": "json_schema", "json_schema": {"name": "said", "schema": SUMMARY}},
}


def ask(
    tools: FlakyTools,
    path: str = "/search",
    body: Any = SEARCH,
    key: str = "",
    seconds: float = 10,
    method: str = "POST",
    **headers: str,
) -> HTTPResponse:
    """One request; the answer's headers are there, its body still to be read."""
    connection = HTTPConnection("127.0.0.1", tools.port, timeout=seconds)
    sent = body if isinstance(body, bytes) else json.dumps(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, sent, {"Idempotency-Key": key} | named)
    return connection.getresponse()


def ask_json(tools: FlakyTools, *args: Any, **options: Any) -> Any:
    answer = ask(tools, *args, **options)
    assert answer.status == 200
    return json.load(answer)


def send_raw(tools: FlakyTools, text: bytes) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", tools.port), timeout=10)
    client.sendall(text)
    return client


# Well
