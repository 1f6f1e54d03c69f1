"""One call on a real MCP server, built with the official SDK, and on servers that only claim to be one."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from mcp.server.mcpserver import Context, MCPServer

from runtime.tools import ToolFailed
from runtime.tools.record import MemoryRecorder
from tests.tools.cast import run_of, tool_at
from tests.tools.servers import hangs, pours, resets, says, serving
from tests.waiting import eventually

SECRET = "sk-planted-0123456789"


class Seen:
    """What reached the server."""

    def __init__(self) -> None:
        self.url = ""
        self.calls: Counter[str] = Counter()
        self.headers: list[dict[str, str]] = []
        self.methods: Counter[str] = Counter()


@pytest.fixture(scope="module", params=["2025", "2026"])
def server(request: pytest.FixtureRequest) -> Iterator[Seen]:
    """A server of the protocol's older kind (with a handshake and sessions) or of both kinds."""
    seen = Seen()
    mcp = MCPServer("counts")

    @mcp.tool()
    def count(word: str, context: Context[Any]) -> dict[str, int]:
        seen.calls["count"] += 1
        return {word: len(word)}

    @mcp.tool(structured_output=False)
    def tell(word: str) -> str:
        seen.calls["tell"] += 1
        return word.upper()

    @mcp.tool()
    def large(size: int) -> str:
        return "x" * size

    @mcp.tool()
    def broken() -> str:
        seen.calls["broken"] += 1
        raise RuntimeError("out of paper")

    @mcp.tool()
    async def slow() -> str:
        seen.calls["slow"] += 1
        await asyncio.Event().wait()
        return ""

    app = mcp.streamable_http_app()

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            headers = {name.decode(): value.decode() for name, value in scope["headers"]}
            seen.headers.append(headers)
            seen.methods[scope["method"]] += 1
            if request.param == "2025" and headers.get("mcp-protocol-version", "").startswith("2026"):
                await send({"type": "http.response.start", "status": 400, "headers": []})
                await send({"type": "http.response.body", "body": b"no such version"})
                return
        await app(scope, receive, send)

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        seen.url = f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
        running = uvicorn.Server(uvicorn.Config(noting, log_level="error", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        assert eventually(lambda: running.started)
        try:
            yield seen
        finally:
            running.should_exit = True
            thread.join(15)
            assert not thread.is_alive()


async def failing(url: str, name: str = "count", seconds: float = 30.0, **settings: Any) -> ToolFailed:
    run = run_of(tool_at(url, kind="mcp", **settings), seconds=seconds)
    with pytest.raises(ToolFailed) as caught:
        await run.call_mcp("search", name, {"word": "x"} if name == "count" else {})
    return caught.value


async def test_result_comes_back_structured_and_as_text(server: Seen) -> None:
    run = run_of(tool_at(server.url, kind="mcp"))
    said = await run.call_mcp("search", "count", {"word": "podcasts"})
    assert said["structured"] == {"podcasts": 8}
    assert json.loads(said["content"][0]) == {"podcasts": 8}
    assert await run.call_mcp("search", "tell", {"word": "abc"}) == {"structured": None, "content": ["ABC"]}
    assert [(call.attempts, call.cls) for call in run.notes] == [(1, ""), (1, "")]


async def test_call_reaches_the_server_once_and_a_recorded_one_never(server: Seen) -> None:
    server.calls.clear()
    recorder = MemoryRecorder()
    for _ in range(3):
        run = run_of(tool_at(server.url, kind="mcp", attempts=3), recorder=recorder)
        await run.call_mcp("search", "count", {"word": "x"})
    assert server.calls == {"count": 1}


async def test_secret_and_key_go_with_every_request_and_no_stream_is_opened(
    server: Seen, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MCP_KEY", SECRET)
    caplog.set_level(logging.DEBUG)
    server.headers.clear()
    server.methods.clear()
    run = run_of(tool_at(server.url, kind="mcp", secret_env="MCP_KEY"))
    said = await run.call_mcp("search", "tell", {"word": f"say {SECRET}".lower()})
    assert server.headers
    assert {headers["authorization"] for headers in server.headers} == {f"Bearer {SECRET}"}
    assert len({headers["idempotency-key"] for headers in server.headers}) == 1
    assert server.methods["GET"] == 0
    assert SECRET not in caplog.text
    assert said == {"structured": None, "content": [f"SAY {SECRET.upper()}"]}


async def test_echoed_secret_is_struck_out(server: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_KEY", SECRET)
    run = run_of(tool_at(server.url, kind="mcp", secret_env="MCP_KEY"))
    assert (await run.call_mcp("search", "count", {"word": SECRET}))["structured"] == {"•••": len(SECRET)}


async def test_tool_that_fails_is_a_server_error_and_is_tried_again(server: Seen) -> None:
    server.calls.clear()
    failed = await failing(server.url, "broken", attempts=2)
    assert (failed.cls, failed.transient, server.calls["broken"]) == ("server_error", True, 2)
    assert failed.message == "search says that its tool broken failed."


async def test_session_is_ended_after_a_call(server: Seen) -> None:
    server.methods.clear()
    handshakes = sum("mcp-session-id" in headers for headers in server.headers)
    await run_of(tool_at(server.url, kind="mcp")).call_mcp("search", "tell", {"word": "x"})
    has_session = sum("mcp-session-id" in headers for headers in server.headers) > handshakes
    assert server.methods["DELETE"] == has_session


async def test_tool_that_hangs_is_a_timeout(server: Seen) -> None:
    server.calls.clear()
    server.methods.clear()
    began = asyncio.get_running_loop().time()
    failed = await failing(server.url, "slow", timeout=1.5)
    assert (failed.cls, server.calls["slow"]) == ("timeout", 1)
    assert server.methods["DELETE"] == 0  # no good-bye to a server that does not answer
    assert asyncio.get_running_loop().time() - began < 20


async def test_large_result_is_bad_output(server: Seen) -> None:
    run = run_of(tool_at(server.url, kind="mcp", max_bytes=20_000))
    with pytest.raises(ToolFailed) as caught:
        await run.call_mcp("search", "large", {"size": 100_000})
    assert (caught.value.cls, caught.value.message) == (
        "bad_output",
        "search answered with more than it may send.",
    )


@pytest.mark.parametrize(
    ("reply", "cls", "status"),
    [
        (says({}, 503), "server_error", 503),
        (says({}, 429, Retry_After="3"), "rate_limited", 429),
        (says({}, 401), "refused", 401),
        (says({}, 404), "refused", 404),
        (says(b"", 307, Location="http://169.254.169.254/mcp"), "refused", 307),
        (says(b"", 308, Location="/elsewhere"), "refused", 308),
        (says(b"<html>"), "bad_output", 200),
        (says(b"<html>", Content_Type="application/json"), "bad_output", 200),
        (says({"jsonrpc": "2.0", "id": 1, "result": 7}, Content_Type="application/json"), "bad_output", 200),
        (says(b"data: nonsense\n\n", Content_Type="text/event-stream"), "bad_output", 200),
        (says(b"", Content_Type="text/event-stream"), "unreachable", None),
        (resets, "unreachable", None),
        (pours, "bad_output", None),
    ],
)
async def test_what_is_no_mcp_server_falls_into_its_class(reply: Any, cls: str, status: int | None) -> None:
    async with serving(reply) as server:
        failed = await failing(server.url, max_bytes=50_000)
    assert failed.cls == cls
    if status is not None:
        assert failed.status == status


async def test_silent_server_is_a_timeout_and_nothing_is_left_behind() -> None:
    async with serving(hangs) as server:
        before = len(asyncio.all_tasks())
        failed = await failing(server.url, timeout=1.5)
        assert failed.cls == "timeout"
        assert [request.method for request in server.requests] == ["POST"]
        assert len(asyncio.all_tasks()) <= before + 1  # the server's own


async def test_private_address_is_refused() -> None:
    async with serving(says({})) as server:
        failed = await failing(server.url, allow=())
    assert (failed.cls, server.requests) == ("refused", [])
