"""HTTP/1.1 with bounds: guarded connections, no redirects, no proxies, and bodies no longer than `max_bytes`."""

from __future__ import annotations

import logging
import ssl
import zlib
from collections.abc import AsyncIterator
from functools import lru_cache
from typing import Any

import httpcore2
import httpx2

from runtime.tools.failures import ToolFailed, bad_output
from runtime.tools.guard import GuardedBackend, Place, Resolve, resolve_host
from runtime.tools.spec import ToolSpec

# Their debug lines hold headers, and so the secret; the SDK logs what it cannot parse, whatever is in it.
for _name, _level in (("httpx2", logging.WARNING), ("httpcore2", logging.WARNING), ("mcp", logging.CRITICAL)):
    logging.getLogger(_name).setLevel(_level)


class GuardedTransport(httpx2.AsyncBaseTransport):
    """What carries the requests of one call. Connections are not kept: one that went stale would be a request that is
    counted and never arrives."""

    def __init__(self, tool: ToolSpec, place: Place, resolve: Resolve = resolve_host) -> None:
        self._tool = tool
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=_tls() if place.url.startswith("https:") else None,
            max_keepalive_connections=0,
            network_backend=GuardedBackend(tool, place, resolve),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        assert isinstance(request.stream, httpx2.AsyncByteStream)
        url = request.url
        asked = httpcore2.Request(
            method=request.method,
            url=httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        try:
            got = await self._pool.handle_async_request(asked)
        except ToolFailed:
            raise
        except Exception as error:
            raise _translated(error) from error
        headers = httpx2.Headers(got.headers)
        try:
            body = BoundedBody(self._tool, got, headers)
        except ToolFailed:
            await got.aclose()
            raise
        for name in ("content-encoding", "content-length"):
            headers.pop(name, None)
        return httpx2.Response(got.status, headers=headers, stream=body, extensions=got.extensions)

    async def aclose(self) -> None:
        await self._pool.aclose()


class BoundedBody(httpx2.AsyncByteStream):
    """A body, unpacked, that ends in ToolFailed("bad_output") rather than grow beyond the tool's `max_bytes`, sent or
    unpacked. Unpacking stops at the bound too: a small body that unpacks to gigabytes never does."""

    def __init__(self, tool: ToolSpec, got: httpcore2.Response, headers: httpx2.Headers) -> None:
        self._tool, self._got = tool, got
        encoding = headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise bad_output(tool.name, "in an encoding that was not asked for", got.status)
        # 32: zlib tells gzip and deflate apart by itself.
        self._unpacker = None if encoding in ("", "identity") else zlib.decompressobj(zlib.MAX_WBITS | 32)
        length = headers.get("content-length", "")
        if length.isdigit() and int(length[:30]) > tool.max_bytes:
            raise self._too_large()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        sent = unpacked = 0
        stream = self._got.stream
        assert not isinstance(stream, bytes)
        try:
            async for part in stream:  # type: ignore[union-attr]
                sent += len(part)
                piece = self._unpack(part, self._tool.max_bytes - unpacked + 1)
                unpacked += len(piece)
                if max(sent, unpacked) > self._tool.max_bytes:
                    raise self._too_large()
                if piece:
                    yield piece
        except ToolFailed:
            raise
        except Exception as error:
            raise _translated(error) from error

    def _unpack(self, part: bytes, room: int) -> bytes:
        if self._unpacker is None:
            return part
        try:
            return self._unpacker.decompress(part, room)
        except zlib.error:
            raise bad_output(self._tool.name, "in an encoding that cannot be read") from None

    def _too_large(self) -> ToolFailed:
        return bad_output(self._tool.name, "with more than it may send", self._got.status)

    async def aclose(self) -> None:
        await self._got.aclose()


def _translated(error: Exception) -> Exception:
    """httpx2's error for one of httpcore2's: they go by the same names."""
    known: Any = getattr(httpx2, type(error).__name__, None)
    if isinstance(known, type) and issubclass(known, httpx2.TransportError):
        return known(str(error))
    return error


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """One for all: to make it takes longer than most calls."""
    return httpx2.create_ssl_context()
