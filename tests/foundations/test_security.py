"""Which pages may open our sockets, and what browsers may run on ours."""

import re
from typing import Any

import pytest
from django.test import Client

from converge_site.security import origin_may_connect, require_own_origin


@pytest.mark.parametrize(
    ("origin", "host", "scheme", "allowed"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000", "ws", True),
        ("http://[::1]:8000", "[::1]:8000", "ws", True),
        ("https://localhost", "localhost", "wss", True),
        ("http://localhost:9000", "localhost:8000", "ws", False),
        ("https://localhost:8000", "localhost:8000", "ws", False),
        ("http://localhost", "localhost:8000", "ws", False),
        ("http://127.0.0.1:8000", "localhost:8000", "ws", False),
        ("http://evil.example", "localhost:8000", "ws", False),
        ("http://evil.example", "evil.example", "ws", False),
        ("null", "localhost:8000", "ws", False),
        ("", "localhost:8000", "ws", False),
        ("http://localhost:8000.evil.example", "localhost:8000", "ws", False),
    ],
)
def test_socket_opens_for_its_own_scheme_host_and_port_only(
    origin: str, host: str, scheme: str, allowed: bool
) -> None:
    assert origin_may_connect(origin, host, scheme) is allowed


def test_public_address_behind_a_proxy_is_allowed_exactly(settings: Any) -> None:
    settings.CONVERGE_ORIGINS = ["https://converge.example.org"]
    assert origin_may_connect("https://converge.example.org", "web:8000", "ws")
    assert not origin_may_connect("http://converge.example.org", "web:8000", "ws")
    assert not origin_may_connect("https://converge.example.org:444", "web:8000", "ws")


async def test_foreign_handshake_never_reaches_a_consumer() -> None:
    reached: list[str] = []
    sent: list[dict[str, Any]] = []

    async def consumer(scope: Any, receive: Any, send: Any) -> None:
        reached.append(scope["path"])

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    app = require_own_origin(consumer)
    scope = {"type": "websocket", "scheme": "ws", "path": "/ws/jobs/"}
    await app(
        {**scope, "headers": [(b"host", b"localhost:8000"), (b"origin", b"http://evil.example")]}, None, send
    )
    assert (reached, [message["type"] for message in sent]) == ([], ["websocket.close"])
    await app(
        {**scope, "headers": [(b"host", b"localhost:8000"), (b"origin", b"http://localhost:8000")]},
        None,
        send,
    )
    assert reached == ["/ws/jobs/"]


@pytest.mark.django_db
def test_pages_carry_a_strict_policy_with_a_fresh_nonce(client: Client) -> None:
    policies = [client.get("/healthz")["Content-Security-Policy"] for _ in range(2)]
    nonces = [re.findall(r"'nonce-([\w-]{20,})'", policy)[0] for policy in policies]
    assert nonces[0] != nonces[1]
    assert "unsafe" not in policies[0]
    for part in ("default-src 'self'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"):
        assert part in policies[0]


@pytest.mark.django_db
def test_wider_policy_is_for_the_admin_alone(client: Client) -> None:
    assert "unsafe-eval" in client.get("/admin/login/")["Content-Security-Policy"]
    assert "unsafe" not in client.get("/administrator/")["Content-Security-Policy"]


@pytest.mark.django_db
def test_unknown_host_is_refused(client: Client) -> None:
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400
