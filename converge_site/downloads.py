"""Files that are written while they are sent: nothing is held in memory whole, however long the record is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

PIECE_BYTES = 256 * 1024


def send_file(
    request: HttpRequest, name: str, content_type: str, texts: Iterator[str]
) -> StreamingHttpResponse:
    """`texts`, one after the other, as a file called `name`. They are asked for as the browser takes them."""
    pieces = _joined(texts)
    response = StreamingHttpResponse(
        _stepping(pieces) if isinstance(request, ASGIRequest) else pieces, content_type=content_type
    )
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _joined(texts: Iterator[str]) -> Iterator[bytes]:
    """Small pieces put together: each costs a hop between threads."""
    waiting: list[bytes] = []
    size = 0
    for text in texts:
        waiting.append(text.encode())
        size += len(waiting[-1])
        if size >= PIECE_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)


async def _stepping(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """A generator that reads the database, for a server that would otherwise hold all of it in memory first."""
    step = sync_to_async(lambda: next(pieces, None))
    while (piece := await step()) is not None:
        yield piece
