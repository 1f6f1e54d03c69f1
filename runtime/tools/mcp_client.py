"""One call of a tool on an MCP server over streamable HTTP, by the official SDK, within the gateway's bounds.

The SDK makes an error of its own out of much that goes wrong below it, or swallows it; so the transport notes what
really happened. Beside the call itself the SDK asks the server for its version, and says good-bye; none of that
is an attempt.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx2
from mcp import Client, types
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from runtime.tools.answers import Answer
from runtime.tools.failures import ToolFailed, bad_output, causes, from_error, from_status, timed_out
from runtime.tools.guard import Place, Resolve, find_place, resolve_host
from runtime.tools.http import AGENT, read_retry_after, request_headers
from runtime.tools.spec import ToolSpec
from runtime.tools.transport import GuardedTransport

# JSON-RPC's codes, and the SDK's for what ended without an answer.
_REFUSALS = (-32600, -32601, -32602, -32020, -32021, -32022, -32042)
_PARSE_ERROR, _CLOSED, _TIMEOUT = -32700, -32000, -32001


async def call_mcp_tool(
    tool: ToolSpec, name: str, arguments: Mapping[str, Any], key: str, resolve: Resolve = resolve_host
) -> Answer:
    """Calls `name` with `arguments`, once, for as long as it takes.

    Returns {"structured": JSON or None, "content": [text, ...]}. Raises ToolFailed; a result that the server marks as
    an error is a `server_error`, since MCP does not say whether the tool or its caller was at fault.
    """
    place = find_place(tool)
    headers = request_headers(tool, key)
    transport = _NotingTransport(tool, place, resolve)
    task = asyncio.ensure_future(_call(place.url, transport, headers, name, dict(arguments)))
    try:
        result = await asyncio.shield(task)
    except asyncio.CancelledError:
        # The SDK would say good-bye to a server that may not answer at all.
        transport.is_over = True
        task.cancel()
        await asyncio.wait([task])
        raise
    except Exception as error:
        raise transport.failed or _failure(tool, error, transport.status) from None
    if result.is_error:
        raise ToolFailed(
            "server_error",
            f"{tool.name} says that its tool {name} failed.",
            tool=tool.name,
            status=transport.status,
        )
    texts = [part.text for part in result.content if isinstance(part, types.TextContent)]
    return Answer({"structured": result.structured_content, "content": texts}, transport.status)


async def _call(
    url: str,
    transport: httpx2.AsyncBaseTransport,
    headers: dict[str, str],
    name: str,
    arguments: dict[str, Any],
) -> types.CallToolResult:
    async with (
        httpx2.AsyncClient(transport=transport, headers=headers, trust_env=False, timeout=None) as http,
        Client(
            streamable_http_client(url, http_client=http),
            client_info=types.Implementation(name=AGENT, version="1"),
            cache=None,
        ) as client,
    ):
        return await client.call_tool(name, arguments)


def _failure(tool: ToolSpec, error: Exception, status: int | None) -> ToolFailed:
    """The failure for an error of the SDK's that nothing below it explains."""
    for cause in causes(error):
        if isinstance(cause, MCPError):
            return _refusal(tool, cause, status)
        if isinstance(cause, ValidationError):
            return bad_output(tool.name, "with something that is not MCP", status)
    return from_error(tool.name, error)


def _refusal(tool: ToolSpec, error: MCPError, status: int | None) -> ToolFailed:
    refused = None if status is None else from_status(tool.name, status)
    if refused is not None:
        return refused
    if error.code == _PARSE_ERROR or error.message.startswith("Unexpected content type"):
        return bad_output(tool.name, "with something that is not MCP", status)
    if error.code == _TIMEOUT:
        return timed_out(tool.name)
    if error.code == _CLOSED:
        return ToolFailed("unreachable", f"{tool.name} broke the connection off.", tool=tool.name)
    if error.code in _REFUSALS:
        words = f"{tool.name} refused the call (MCP error {error.code})."
        return ToolFailed("refused", words, tool=tool.name, status=status)
    words = f"{tool.name} has trouble of its own (MCP error {error.code})."
    return ToolFailed("server_error", words, tool=tool.name, status=status)


class _NotingTransport(GuardedTransport):
    """Keeps the first failure of a request. Once `is_over`, nothing is sent any more."""

    def __init__(self, tool: ToolSpec, place: Place, resolve: Resolve) -> None:
        super().__init__(tool, place, resolve)
        self.failed: ToolFailed | None = None
        self.status: int | None = None
        self.is_over = False

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        # The stream on which a server speaks unasked is not opened; one that was cut off may be taken up again.
        if self.is_over or (request.method == "GET" and "last-event-id" not in request.headers):
            return httpx2.Response(405, request=request)
        if request.method == "DELETE":
            async with asyncio.timeout(1):
                return await super().handle_async_request(request)
        try:
            response = await super().handle_async_request(request)
        except Exception as error:
            self._note(error)
            raise
        self.status = response.status_code
        failed = from_status(self._tool.name, self.status, read_retry_after(response.headers))
        # The SDK tries older ways to talk after some of the refusals.
        if failed is not None and (failed.cls != "refused" or self.status not in range(400, 500)):
            await response.aclose()
            self._note(failed)
            raise failed
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _NotingStream(self, response.stream)
        return response

    def _note(self, error: Exception) -> None:
        self.failed = self.failed or from_error(self._tool.name, error)


class _NotingStream(httpx2.AsyncByteStream):
    """A body whose failure is noted: the SDK takes one in an event stream for its end."""

    def __init__(self, transport: _NotingTransport, body: httpx2.AsyncByteStream) -> None:
        self._transport, self._body = transport, body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._body:
                yield part
        except Exception as error:
            self._transport._note(error)
            raise

    async def aclose(self) -> None:
        await self._body.aclose()
