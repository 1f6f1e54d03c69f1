"""An ASGI site whose answers take as long as the path says, in seconds; it tells on stdout when it was asked."""

from __future__ import annotations

import asyncio
from typing import Any


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """`POST /2` is answered after two seconds."""
    if scope["type"] != "http":
        return
    await receive()
    print("asked", flush=True)
    await asyncio.sleep(float(scope["path"].strip("/")))
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    await send({"type": "http.response.body", "body": b"done"})
