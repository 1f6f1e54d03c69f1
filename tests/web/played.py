"""Pages in a real browser without a server: every request of the browser is answered by the test client.

So a page is looked at in whatever state a test has made, within its transaction. Requests to anywhere else are refused
and remembered, and sockets say what a test gives them to say.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.contrib.staticfiles import finders
from django.db import connections
from django.test import Client
from playwright.sync_api import Browser, Page, Route, WebSocketRoute

from tests.web.chromium import open_chromium

ORIGIN = "http://converge.test"
KEPT = ("content-type", "content-security-policy", "content-disposition", "location", "set-cookie")
_WATCH = """
window.broken = [];
document.addEventListener("securitypolicyviolation", (event) => {
    window.broken.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
});
"""


class Played:
    """One browser window. `left` are requests that went elsewhere, `errors` what scripts threw or the console said."""

    def __init__(self, browser: Browser, client: Client, **options: Any) -> None:
        self.client, self.left, self.errors = client, [], []  # type: ignore[var-annotated]
        self._said_hello: WebSocketRoute | None = None
        self._outside = copy_context()
        self.context = browser.new_context(base_url=ORIGIN, service_workers="block", **options)
        self.context.add_init_script(_WATCH)
        self.context.route("**/*", self._answer)
        self.context.route_web_socket("**/*", self._talk)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(15_000)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("dialog", lambda dialog: self.errors.append(f"dialog {dialog.message}"))

    def _answer(self, route: Route) -> None:
        asked = urlsplit(route.request.url)
        if f"{asked.scheme}://{asked.netloc}" != ORIGIN:
            self.left.append(route.request.url)
            route.abort()
        elif asked.path.startswith("/static/"):
            found = finders.find(asked.path.removeprefix("/static/"))
            kind = mimetypes.guess_type(asked.path)[0] or "text/plain"
            route.fulfill(status=200 if found else 404, content_type=kind,
                          body=Path(str(found)).read_bytes() if found else b"")  # fmt: skip
        else:
            self._ask_client(route, f"{asked.path}?{asked.query}" if asked.query else asked.path)

    def _ask_client(self, route: Route, path: str) -> None:
        request = route.request
        headers = {n: v for n, v in request.headers.items() if n.startswith("hx-")}
        body = request.post_data_buffer or b""
        kind = request.headers.get("content-type", "application/octet-stream")
        said = self._outside.run(self._ask, request.method, path, body, kind, headers)
        kept = {name.lower(): value for name, value in said.items() if name.lower() in KEPT}
        content = b"".join(said.streaming_content) if said.streaming else said.content
        route.fulfill(status=said.status_code, headers=kept, body=content)

    def _ask(self, method: str, path: str, body: bytes, kind: str, headers: dict[str, str]) -> Any:
        said = self.client.generic(method, path, body, kind, headers=headers)
        while said.status_code == 302:  # a browser does not ask again for what is played to it
            said = self.client.get(said["Location"])
        return said

    def _talk(self, socket: WebSocketRoute) -> None:
        def take(text: str | bytes) -> None:
            self._said_hello = socket

        socket.on_message(take)

    def push(self, *texts: str) -> None:
        """Says what a server would push, once the page that is open has said which page it is."""
        while self._said_hello is None:
            self.page.wait_for_timeout(20)
        for text in texts:
            self._said_hello.send(text)
        self.page.wait_for_function("() => document.getElementById('live-state').dataset.state === 'live'")

    def open(self, path: str) -> Page:
        """The page at `path`, loaded, its socket not yet open."""
        self._said_hello = None
        self.page.goto(path)
        return self.page

    def wrongs(self) -> list[str]:
        """What went wrong on the open page: requests elsewhere, errors, breaches of the policy, a script."""
        told = [f"left: {url}" for url in self.left] + self.errors
        told += self.page.evaluate("() => [...window.broken, ...(window.hurt ? ['a script ran'] : [])]")
        self.left.clear()
        self.errors.clear()
        return told

    def width(self) -> int:
        """How wide the page that is open is, all that sticks out included."""
        return int(self.page.evaluate("() => document.documentElement.scrollWidth"))


@contextmanager
def played(client: Client, **options: Any) -> Iterator[Played]:
    """A window in which somebody is signed in, as `client` is. Its browser is open for the block alone: whatever jobs a
    test needs have been run before."""
    connection = connections["default"]
    with open_chromium() as browser:
        # Beside a browser's event loop Django would ask by another connection, which sees nothing of the test's
        # transaction. But it is the same thread, and one thing at a time.
        connections["default"] = connection
        yield Played(browser, client, **options)
