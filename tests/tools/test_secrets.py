"""A tool's secret goes out in its one header, and comes back nowhere."""

from __future__ import annotations

import base64
import json
import logging
from typing import Any
from urllib.parse import quote

import pytest

from runtime.tools import ToolFailed
from runtime.tools.record import MemoryRecorder
from runtime.tools.secret import strike_out
from tests.tools.cast import run_of, tool_at
from tests.tools.servers import Reply, hangs, resets, says, sends, serving

SECRET = 'sk-Planted/"7f+Qz=9'


@pytest.fixture(autouse=True)
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCH_KEY", SECRET)


async def test_secret_is_sent_in_its_header() -> None:
    async with serving(says({})) as server:
        await run_of(tool_at(server.url, secret_env="SEARCH_KEY")).post("search", {})
        custom = tool_at(server.url, secret_env="SEARCH_KEY", secret_header="X-Api-Key", secret_prefix="")
        await run_of(custom, cycle=2).post("search", {})
    assert server.requests[0].headers["authorization"] == f"Bearer {SECRET}"
    assert server.requests[1].headers["x-api-key"] == SECRET
    assert "authorization" not in server.requests[1].headers


async def test_newline_at_the_end_of_a_secret_is_forgiven(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCH_KEY", SECRET + "\n")
    async with serving(says({})) as server:
        await run_of(tool_at(server.url, secret_env="SEARCH_KEY")).post("search", {})
    assert server.requests[0].headers["authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize("value", ["", "  ", "abc", "one\r\nX-Evil: 1", "schlüssel"])
async def test_unusable_secret_is_refused_without_being_told(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEARCH_KEY", value)
    async with serving(says({})) as server:
        with pytest.raises(ToolFailed) as caught:
            await run_of(tool_at(server.url, secret_env="SEARCH_KEY")).post("search", {})
    assert (caught.value.cls, caught.value.transient) == ("refused", False)
    assert "SEARCH_KEY" in caught.value.message
    assert not value.strip() or value.strip() not in caught.value.message
    assert not server.requests


def echoes(text: str) -> list[str]:
    """The ways in which a page may repeat a text."""
    raw = text.encode()
    return [
        text,
        f"Bearer {text}",
        quote(text),
        quote(text, safe=""),
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode(),
        *(base64.b64encode(pad + raw + b"; more").decode() for pad in (b"", b"x", b"xy", b"Authorization: ")),
        raw.hex(),
        text[::-1],
    ]


@pytest.mark.parametrize("escape", [False, True])
async def test_echoed_secret_is_struck_out_of_the_answer_and_the_record(escape: bool) -> None:
    body = {"echo": echoes(SECRET), SECRET: {"deep": [SECRET]}, "harmless": "Planted"}
    raw = json.dumps(body)
    if escape:  # as \u escapes, which hide it from a search of the raw bytes
        raw = "".join(
            f"\\u{ord(sign):04x}" if sign.isalnum() and index % 2 else sign for index, sign in enumerate(raw)
        )
        raw = json.dumps(body).replace("sk-", "\\u0073\\u006b-")
    recorder = MemoryRecorder()
    async with serving(says(raw.encode())) as server:
        run = run_of(tool_at(server.url, secret_env="SEARCH_KEY"), recorder=recorder)
        value = await run.post("search", {})
    assert value["harmless"] == "Planted"
    assert value["echo"][0] == "•••"
    for text in (json.dumps(value, ensure_ascii=False), repr(recorder.finished)):
        assert not find(text)


def find(text: str) -> list[str]:
    """What of the secret is in a text, in any form."""
    forms = [SECRET, json.dumps(SECRET)[1:-1], quote(SECRET), SECRET.encode().hex(), SECRET[::-1], "Planted/"]
    encoded = base64.b64encode(SECRET.encode()).decode()
    forms += [encoded[2:-4], base64.b64encode(b"x" + SECRET.encode()).decode()[4:-4]]
    return [form for form in forms if form in text]


def test_password_of_basic_authentication_is_struck_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCH_KEY", base64.b64encode(b"ann:correct horse").decode())
    tool = tool_at("http://x", secret_env="SEARCH_KEY", secret_prefix="Basic ")
    assert strike_out(tool, {"a": "ann:correct horse", "b": ["correct horse!"]}) == {
        "a": "•••",
        "b": ["•••!"],
    }


@pytest.mark.parametrize(
    "reply",
    [
        says({"error": SECRET}, 404),
        says(b'{"error": "\\u0073' + SECRET[1:].replace('"', "&quot;").encode() + b'"}', 404),
        says({"error": SECRET}, 401),
        says({"error": SECRET}, 500),
        says(SECRET.encode()),
        says(json.dumps({SECRET: 1})[:-1].encode() + b', "x": NaN}'),
        says((json.dumps(SECRET) + " ").encode()),
        says(f'{{"{"sk"}": 1, "sk": 2}}'.encode()),
        says(json.dumps([{SECRET: 1}]).replace("}", f", {json.dumps(SECRET)}: 2}}").encode()),
        sends(f"HTTP/1.1 200 OK\r\nX-{SECRET}\r\n\r\n".encode()),
        sends(f"{SECRET}\r\n\r\n".encode()),
        says({}, 302, Location=f"http://evil.example.com/{SECRET}"),
        resets,
        hangs,
    ],
)
async def test_secret_is_in_no_failure_log_or_traceback(
    reply: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = MemoryRecorder()
    caplog.set_level(logging.DEBUG)
    async with serving(reply) as server:
        run = run_of(tool_at(server.url, secret_env="SEARCH_KEY", timeout=0.3), recorder=recorder)
        with pytest.raises(ToolFailed) as caught:
            await run.post("search", {"q": 1})
        log = logging.getLogger("tests.tools")
        log.error("as describe_error logs it", exc_info=caught.value)
        assert server.requests[0].headers["authorization"].endswith(SECRET)
    failed: Any = caught.value
    texts = [caplog.text, repr(failed), str(failed.as_failure()), repr(recorder.finished), repr(run.notes)]
    for record in caplog.records:
        texts += [record.getMessage(), str(record.args)]
    while failed is not None:
        texts.append(repr(failed) + str(vars(failed)))
        failed = failed.__cause__ or failed.__context__
    assert not [find(text) for text in texts if find(text)]


async def test_refusal_is_told_in_the_log_without_the_secret(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(says({"error": f"no model for {SECRET}"}, 404)) as server:
        with pytest.raises(ToolFailed):
            await run_of(tool_at(server.url, secret_env="SEARCH_KEY")).post("search", {})
    assert "no model for •••" in caplog.text
