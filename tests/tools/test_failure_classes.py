"""Every failure class, reached by a server that really misbehaves (D5.2)."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from runtime.tools import ToolFailed, call_tool
from runtime.tools.gate import RedisGate
from runtime.tools.session import CURRENT
from runtime.tools.spec import ToolSpec
from tests.tools.cast import run_of, session_of, tool_at
from tests.tools.servers import (
    Reply,
    drips,
    hangs,
    hangs_in_body,
    pours,
    resets,
    response,
    says,
    self_signed,
    sends,
    serving,
)

HALF = b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"half": '


async def failure_of(tool: ToolSpec, **rest: object) -> ToolFailed:
    with pytest.raises(ToolFailed) as caught:
        await run_of(tool, **rest).post("search", {"q": 1})  # type: ignore[arg-type]
    return caught.value


@pytest.mark.parametrize(
    ("reply", "cls", "transient", "status", "words"),
    [
        (says({}, 429), "rate_limited", True, 429, "search asks for fewer calls (HTTP 429)."),
        (says({}, 500), "server_error", True, 500, "search has trouble of its own (HTTP 500)."),
        (says({}, 503), "server_error", True, 503, "search has trouble of its own (HTTP 503)."),
        (says({}, 404), "refused", False, 404, "search refused the request (HTTP 404)."),
        (says({}, 401), "refused", False, 401, "search refused the request (HTTP 401)."),
        (
            says(b"", 302, Location="http://169.254.169.254/latest/meta-data/"),
            "refused",
            False,
            302,
            "search answered with a redirect, which is not followed (HTTP 302).",
        ),
        (
            says(b"<html>sorry</html>"),
            "bad_output",
            False,
            200,
            "search answered with something that is not JSON.",
        ),
        (says(b""), "bad_output", False, 200, "search answered with something that is not JSON."),
        (says(b'{"a": NaN}'), "bad_output", False, 200, "search answered with something that is not JSON."),
        (says(b'{"a": 1e999}'), "bad_output", False, 200, "search answered with something that is not JSON."),
        (
            says(b'{"a": 1, "a": 2}'),
            "bad_output",
            False,
            200,
            "search answered with something that is not JSON.",
        ),
        (
            says(b'{"a": "\\ud800"}'),
            "bad_output",
            False,
            200,
            "search answered with JSON beyond the bounds of a value.",
        ),
        (
            says(b'{"a": ' + b"[" * 30 + b"]" * 30 + b"}"),
            "bad_output",
            False,
            200,
            "search answered with JSON beyond the bounds of a value.",
        ),
        (
            says(b"\xff\xfe{}"),
            "bad_output",
            False,
            200,
            "search answered with something that is not JSON.",
        ),
        (
            says(b"[" * 100_000),
            "bad_output",
            False,
            200,
            "search answered with something that is not JSON.",
        ),
        (
            says("text"),
            "bad_output",
            False,
            200,
            "search answered with JSON that is neither an object nor a list.",
        ),
        (
            sends(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
            "bad_output",
            False,
            None,
            "search answered with something that is not HTTP.",
        ),
        (resets, "unreachable", True, None, "search broke the connection off."),
        (sends(b""), "unreachable", True, None, "search broke the connection off."),
        (sends(HALF), "unreachable", True, None, "search broke the connection off."),
        (sends(HALF[:10]), "unreachable", True, None, "search broke the connection off."),
    ],
)
async def test_answer_falls_into_its_class(
    reply: Reply, cls: str, transient: bool, status: int | None, words: str
) -> None:
    async with serving(reply) as server:
        failed = await failure_of(tool_at(server.url))
    assert (failed.cls, failed.transient, failed.status, failed.message) == (cls, transient, status, words)
    assert failed.tool == "search"
    assert len(server.requests) == 1


@pytest.mark.parametrize("reply", [hangs, hangs_in_body, drips])
async def test_answer_that_takes_too_long_is_a_timeout(reply: Reply) -> None:
    async with serving(reply) as server:
        failed = await failure_of(tool_at(server.url, timeout=0.2))
    assert (failed.cls, failed.transient, failed.message) == (
        "timeout",
        True,
        "search did not answer in time.",
    )


async def test_wrong_schema_is_bad_output_and_is_not_tried_again() -> None:
    def check(value: object) -> None:
        raise ToolFailed("bad_output", "search answered without proposals.", tool="search")

    async with serving(says({"other": 1})) as server:
        run = run_of(tool_at(server.url, attempts=3))
        with pytest.raises(ToolFailed, match="without proposals") as caught:
            await run.post("search", {}, check=check)
    assert (caught.value.cls, len(server.requests)) == ("bad_output", 1)
    assert [(call.attempts, call.cls) for call in run.notes] == [(1, "bad_output")]


async def test_check_that_breaks_on_an_answer_is_bad_output() -> None:
    async with serving(says({"other": 1})) as server:
        with pytest.raises(ToolFailed) as caught:
            await run_of(tool_at(server.url)).post("search", {}, check=lambda value: value["proposals"])
    assert caught.value.message == "search answered with JSON of another form than expected."


@pytest.mark.parametrize("length", ["told", "untold"])
async def test_huge_body_is_bad_output_and_is_not_read(length: str) -> None:
    told = sends(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
    async with serving(told if length == "told" else pours) as server:
        failed = await failure_of(tool_at(server.url, max_bytes=50_000))
    assert (failed.cls, failed.message) == ("bad_output", "search answered with more than it may send.")


async def test_nobody_listening_is_unreachable() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        failed = await failure_of(tool_at(url))
    assert (failed.cls, failed.message) == (
        "unreachable",
        "search cannot be reached: nothing accepts the connection.",
    )


async def test_unknown_name_is_unreachable() -> None:
    failed = await failure_of(tool_at("http://no-such-host.invalid/"))
    assert (failed.cls, failed.transient) == ("unreachable", True)
    assert failed.message == "search cannot be found: the name of its host is not known."


async def test_plain_server_behind_https_is_unreachable() -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(response(b"", 400))
        writer.close()

    listener = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with listener:
        failed = await failure_of(tool_at(f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}"))
    assert (failed.cls, failed.message) == (
        "unreachable",
        "search cannot be reached: no secure connection came about.",
    )


async def test_certificate_nobody_signed_is_unreachable(tmp_path: Path) -> None:
    async with serving(says({}), tls=self_signed(tmp_path)) as server:
        failed = await failure_of(tool_at(server.url))
    assert (failed.cls, failed.message) == (
        "unreachable",
        "search cannot be reached: its certificate is not accepted.",
    )
    assert not server.requests


async def test_open_breaker_is_circuit_open(gate: RedisGate) -> None:
    async with serving(says({})) as server:
        gate.trip("search", "ann")
        failed = await failure_of(tool_at(server.url), gate=gate)
    assert (failed.cls, failed.transient, failed.message) == (
        "circuit_open",
        True,
        "search was switched off by hand.",
    )
    assert not server.requests


@pytest.mark.parametrize(("budget", "word"), [({"calls": 0}, "calls"), ({"tokens": 0}, "tokens")])
async def test_used_up_budget_is_over_budget(budget: dict[str, int], word: str) -> None:
    async with serving(says({})) as server:
        failed = await failure_of(tool_at(server.url), **budget)
    assert (failed.cls, failed.transient) == ("over_budget", False)
    assert word in failed.message
    assert not server.requests


async def test_call_outside_a_run_is_an_agent_error() -> None:
    with pytest.raises(ToolFailed) as caught:
        await call_tool("search", {})
    assert (caught.value.cls, caught.value.transient) == ("agent_error", False)


async def test_unknown_and_disabled_tools_are_refused() -> None:
    run = run_of(tool_at("http://127.0.0.1:9", enabled=False))
    for name in ("search", "nothing"):
        with pytest.raises(ToolFailed) as caught:
            await run.post(name, {})
        assert (caught.value.cls, caught.value.transient) == ("refused", False)


async def test_pack_code_calls_a_tool_of_its_run() -> None:
    async with serving(says({"hits": 3})) as server:
        session = session_of(tool_at(server.url))
        run = session.for_run("searcher", "podcasts", 30)
        token = CURRENT.set(run)
        try:
            assert await call_tool("search", {"q": "x"}, path="/v1/find") == {"hits": 3}
        finally:
            CURRENT.reset(token)
    request = server.requests[0]
    assert (request.method, request.path, request.json) == ("POST", "/v1/find", {"q": "x"})
    assert [call.attempts for call in run.notes] == [1]


def test_message_holds_only_what_can_be_printed() -> None:
    """It may quote names that a tool chose; PostgreSQL keeps no NUL, and the journal no lone surrogate."""
    failed = ToolFailed("bad_output", "it has \x00evil\x1b[2J\ud800\u202e names", tool="se\x00arch")
    assert failed.message == str(failed) == "it has  evil [2J   names"
    assert (failed.as_failure().message, failed.tool) == (failed.message, "se arch")
    assert len(ToolFailed("bad_output", "\x00" * 1000).message) == 500
