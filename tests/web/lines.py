"""Sockets of people, through the ASGI application as the server runs it."""

from __future__ import annotations

import json
import re
from typing import Any

from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.contrib.auth.models import User

from converge_site.asgi import application
from runtime.models import Job
from tests.web import cast

ORIGIN = (b"origin", b"http://127.0.0.1:8000")


async def prepare() -> tuple[dict[str, User], Job]:
    people = await sync_to_async(cast.make_people)()
    return people, await sync_to_async(cast.growth_job)(people["otto"])


async def socket(user: User | None, path: str) -> WebsocketCommunicator:
    headers = [(b"host", b"127.0.0.1:8000"), ORIGIN]
    if user is not None:
        client = await sync_to_async(cast.signed_in)(user)
        key = client.cookies[settings.SESSION_COOKIE_NAME].value
        headers.append((b"cookie", f"{settings.SESSION_COOKIE_NAME}={key}".encode()))
    return WebsocketCommunicator(application, path, headers=headers)


async def next_frame(line: WebsocketCommunicator, holding: str) -> dict[str, Any]:
    """The next frame whose HTML holds a text; others and pings are passed over. All are acknowledged, as pages do."""
    while True:
        frame: dict[str, Any] = json.loads(await line.receive_from(timeout=5))
        if "ping" not in frame:
            line.frames = getattr(line, "frames", 0) + 1
            await line.send_to(text_data=json.dumps({"ack": line.frames}))
        if holding in frame.get("html", ""):
            return frame


def seqs(frame: dict[str, Any]) -> list[int]:
    return [int(seq) for seq in re.findall(r'data-seq="(\d+)"', frame["html"])]


async def closed(line: WebsocketCommunicator) -> int:
    """The code with which the server ends a connection; frames before it are passed over."""
    while True:
        output = await line.receive_output(timeout=5)
        if output["type"] == "websocket.close":
            return int(output["code"])
