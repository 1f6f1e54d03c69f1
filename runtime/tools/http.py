"""One POST of JSON to a tool, and the JSON it answers."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2
import orjson

from runtime.engine.values import BoundsError, load_json
from runtime.tools.answers import Answer
from runtime.tools.failures import ToolFailed, bad_output, from_error, from_status
from runtime.tools.guard import Resolve, find_place, resolve_host
from runtime.tools.secret import secret_headers, strike_out_of_text
from runtime.tools.spec import ToolSpec
from runtime.tools.transport import GuardedTransport

log = logging.getLogger(__name__)

AGENT = "Converge"
TOLD = 1_000  # bytes of a refusal that go to the log


async def post_json(
    tool: ToolSpec, path: str, body: Any, key: str, resolve: Resolve = resolve_host
) -> Answer:
    """POSTs `body` to the tool's address plus `path`, once, with the idempotency key; for as long as it takes.

    Returns the object or list that it answered. Raises ToolFailed.
    """
    place = find_place(tool, path)
    headers = request_headers(tool, key) | {"Accept": "application/json", "Content-Type": "application/json"}
    try:
        async with httpx2.AsyncClient(
            transport=GuardedTransport(tool, place, resolve), trust_env=False, timeout=None
        ) as client:
            request = client.build_request("POST", place.url, content=orjson.dumps(body), headers=headers)
            response = await client.send(request, stream=True, follow_redirects=False)
            try:
                return await _read(tool, response)
            finally:
                await response.aclose()
    except Exception as error:
        raise from_error(tool.name, error) from None


def request_headers(tool: ToolSpec, key: str) -> dict[str, str]:
    """The headers of every request to a tool, with its secret. Raises ToolFailed("refused") where that is missing."""
    return {
        "Accept-Encoding": "identity",
        "User-Agent": AGENT,
        "Idempotency-Key": key,
        **secret_headers(tool),
    }


def read_retry_after(headers: httpx2.Headers) -> float | None:
    """The seconds that a tool asked us to stay away, as a number or as a date; None if it did not."""
    told = headers.get("retry-after", "").strip()
    if told.isascii() and told.isdigit():
        return float(told[:9])
    try:
        return max(0.0, parsedate_to_datetime(told).timestamp() - time.time()) if told else None
    except (TypeError, ValueError, OverflowError):
        return None


async def _read(tool: ToolSpec, response: httpx2.Response) -> Answer:
    status = response.status_code
    failed = from_status(tool.name, status, read_retry_after(response.headers))
    if failed is not None:
        if status in (400, 404, 422):
            await _tell(tool, response)
        raise failed
    raw = await response.aread()
    try:
        value = load_json(raw, tool.max_bytes)
    except BoundsError as error:
        log.info("%s answered what %s", tool.name, strike_out_of_text(tool, str(error)))
        raise bad_output(tool.name, "with something that is not JSON", status) from None
    if not isinstance(value, dict | list):
        raise bad_output(tool.name, "with JSON that is neither an object nor a list", status)
    return Answer(value, status)


async def _tell(tool: ToolSpec, response: httpx2.Response) -> None:
    """Logs the beginning of a refusal's text, which often says what to mend; it stays out of the journal."""
    text = b""
    with suppress(ToolFailed, httpx2.HTTPError, TimeoutError):
        async with asyncio.timeout(1):
            async for part in response.aiter_bytes():
                text += part
                if len(text) > 4 * TOLD:  # more than is told: a secret cut in two would not be found
                    break
    told = strike_out_of_text(tool, text.decode("utf-8", "replace"))[:TOLD]
    log.warning("%s refused a request (HTTP %d): %r", tool.name, response.status_code, told)
