"""What the browser may do with our pages, and which pages may open our sockets."""

import secrets
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.http.request import validate_host
from django.utils.decorators import sync_and_async_middleware

Scope = dict[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]

_COMMON = (
    "default-src 'self'; img-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'; "
)
# django-unfold drives the admin with Alpine, which evaluates expressions and sets style attributes. Only
# admins reach these pages, and no page outside /admin/ gets the wider rule.
_ADMIN = _COMMON + "script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'"


def _policy(request: HttpRequest, nonce: str) -> str:
    if request.path.startswith("/admin/"):
        return _ADMIN
    return _COMMON + f"script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'"


@sync_and_async_middleware
def content_security_policy(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Middleware: a strict Content-Security-Policy, and `request.csp_nonce` for the tags that need one."""

    def prepare(request: HttpRequest) -> str:
        nonce = secrets.token_urlsafe(16)
        request.csp_nonce = nonce  # type: ignore[attr-defined]
        return nonce

    def finish(request: HttpRequest, response: HttpResponseBase, nonce: str) -> HttpResponseBase:
        response.headers.setdefault("Content-Security-Policy", _policy(request, nonce))
        response.headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
        return response

    if iscoroutinefunction(get_response):

        async def middleware_async(request: HttpRequest) -> HttpResponseBase:
            nonce = prepare(request)
            return finish(request, await get_response(request), nonce)

        return middleware_async

    def middleware(request: HttpRequest) -> HttpResponseBase:
        nonce = prepare(request)
        return finish(request, get_response(request), nonce)

    return middleware


def origin_may_connect(origin: str, host: str, scheme: str) -> bool:
    """Whether a page of `origin` may open a socket here: scheme, host and port must all be ours.

    `origin`: the Origin header ("" if there was none); `host`: the Host header; `scheme`: "ws" or "wss" as
    this server sees it. A page served under the very address it connects to may, and so may those of
    CONVERGE_ORIGINS, which is how an installation behind a TLS proxy names itself.
    """
    if not origin:
        # Browsers always send one with a socket. Whoever does not is a script without a person's cookies,
        # and scripts have the API.
        return False
    if origin in settings.CONVERGE_ORIGINS:
        return True
    hostname = urlsplit(f"//{host}").hostname or ""
    if ":" in hostname:
        hostname = f"[{hostname}]"
    if not validate_host(hostname, settings.ALLOWED_HOSTS):
        return False
    return origin == f"{'https' if scheme == 'wss' else 'http'}://{host}"


def require_own_origin(app: App) -> App:
    """Wraps a WebSocket application: a handshake from a foreign page, or with a cookie nobody can read, is refused."""

    async def checked(scope: Scope, receive: Any, send: Any) -> None:
        headers = {name: value.decode("latin1") for name, value in scope["headers"]}
        origin, host = headers.get(b"origin", ""), headers.get(b"host", "")
        # A quoted cookie can spell a NUL, which no session's key holds and no database is asked for.
        spells_nul = "\\000" in headers.get(b"cookie", "")
        if not spells_nul and origin_may_connect(origin, host, scope.get("scheme", "ws")):
            await app(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 4403})

    return checked
