"""Bodies end at the tool's `max_bytes`, however they come, and the process stays small."""

from __future__ import annotations

import asyncio
import gzip
import json
import tracemalloc
import zlib
from typing import Any

import pytest

from runtime.tools import ToolFailed
from tests.tools.cast import run_of, tool_at
from tests.tools.servers import Reply, Request, pours, says, sends, serving

TOO_MUCH = "search answered with more than it may send."


async def ask(server: Any, **settings: Any) -> Any:
    return await run_of(tool_at(server.url, **settings)).post("search", {})


async def failing(reply: Reply, **settings: Any) -> ToolFailed:
    async with serving(reply) as server:
        with pytest.raises(ToolFailed) as caught:
            await ask(server, **settings)
        assert len(server.requests) == 1
    return caught.value


def exactly(size: int) -> bytes:
    return json.dumps(["x" * (size - 4)]).encode()


async def test_body_may_be_as_long_as_allowed_and_no_longer() -> None:
    async with serving(says(exactly(1000)), says(exactly(1001))) as server:
        assert await ask(server, max_bytes=1000) == ["x" * 996]
        with pytest.raises(ToolFailed, match="more than it may send"):
            await ask(server, max_bytes=1000)


async def test_body_that_understates_its_length_is_cut_there() -> None:
    lying = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}" + b" " * 100_000
    async with serving(sends(lying)) as server:
        assert await ask(server, max_bytes=1000) == {}


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate", "GZIP"])
async def test_packed_body_is_read_although_none_was_asked_for(encoding: str) -> None:
    pack = zlib.compress if encoding == "deflate" else gzip.compress
    async with serving(says(pack(b'{"hits": 1}'), Content_Encoding=encoding)) as server:
        assert await ask(server) == {"hits": 1}
    assert server.requests[0].headers["accept-encoding"] == "identity"


async def test_bomb_is_not_unpacked() -> None:
    """A quarter of a gigabyte of nothing."""
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    bomb = b"".join(packer.compress(b"\0" * 2**20) for _ in range(256)) + packer.flush()
    assert len(bomb) < 300_000
    tracemalloc.start()
    try:
        failed = await failing(says(bomb, Content_Encoding="gzip"), max_bytes=2_000_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (failed.cls, failed.message) == ("bad_output", TOO_MUCH)
    assert peak < 12_000_000


async def test_packed_nothing_without_end_is_too_much() -> None:
    """Empty blocks: never a byte unpacked."""

    async def reply(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n")
        part = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
        while True:
            writer.write(b"%x\r\n%b\r\n" % (len(part), part))
            await writer.drain()
            part = b"\x00\x00\x00\xff\xff" * 1000

    assert (await failing(reply, max_bytes=10_000)).cls == "bad_output"


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "nonsense"])
async def test_unasked_encodings_are_refused(encoding: str) -> None:
    failed = await failing(says(b"{}", Content_Encoding=encoding))
    assert failed.message == "search answered in an encoding that was not asked for."


async def test_broken_packing_is_bad_output() -> None:
    failed = await failing(says(b"not packed at all", Content_Encoding="gzip"))
    assert failed.message == "search answered in an encoding that cannot be read."
    failed = await failing(says(gzip.compress(b'{"hits": 1, "more": 2}')[:-12], Content_Encoding="gzip"))
    assert failed.cls == "bad_output"


async def test_endless_body_holds_no_more_than_allowed() -> None:
    tracemalloc.start()
    try:
        failed = await failing(pours, max_bytes=500_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert failed.message == TOO_MUCH
    assert peak < 5_000_000


async def test_endless_headers_are_no_http() -> None:
    async def reply(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X-More: " + b"x" * 60_000 + b"\r\n")
            await writer.drain()

    assert (await failing(reply)).cls == "bad_output"


async def test_body_of_a_refusal_is_not_waited_for() -> None:
    async def reply(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 503 Down\r\nContent-Length: 100\r\n\r\n")
        await writer.drain()
        await asyncio.Event().wait()

    assert (await failing(reply)).cls == "server_error"
