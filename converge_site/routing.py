"""The sockets. They only push: every change by a person is an ordinary form POST (D8.5)."""

from __future__ import annotations

from typing import Any

from django.urls import path, re_path

from converge_site.live.consumers import JobConsumer, PageConsumer

NO_SUCH_ADDRESS = 4404


async def turn_away(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Refuses a handshake at an address where no socket is."""
    await send({"type": "websocket.close", "code": NO_SUCH_ADDRESS})


websocket_urlpatterns = [
    path("ws/jobs/", PageConsumer.as_asgi()),  # type: ignore[arg-type]
    path("ws/jobs/<int:job_id>/", JobConsumer.as_asgi()),  # type: ignore[arg-type]
    re_path(r"", turn_away),  # type: ignore[arg-type]
]
