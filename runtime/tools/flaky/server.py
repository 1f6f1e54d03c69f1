"""The simulator as a server: it listens on this machine only, counts what it reads, and stops at once."""

from __future__ import annotations

import contextlib
import select
import socket
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from socketserver import ThreadingTCPServer
from types import TracebackType
from typing import Any, NamedTuple, Self

from runtime.tools.flaky.handler import Handler
from runtime.tools.flaky.modes import OK, check_mode, mode_of_request

TOOLS = ("search", "writer")
HOST = "127.0.0.1"
MOST_KEYS = 100_000  # that are counted one by one; a simulator may run for weeks
REMEMBERED = 500  # requests that can be looked at


class Asked(NamedTuple):
    """One request that was read: of which tool, at which path, and the mode (one of MODES) in which it was answered.
    Header names are in lower case; `body` is what was sent, JSON or not."""

    tool: str
    path: str
    key: str
    headers: Mapping[str, str]
    body: bytes
    mode: str


class FlakyTools:
    """Serves `TOOLS` under `url` while it is entered, each well until `mode` says otherwise.

    `slow` is how many seconds the slow modes take, `retry_after` what a 429 says (seconds, or a date), `huge` how many
    bytes the huge body has. `said` gets a line for each request. All methods may be called from any thread.
    """

    def __init__(
        self,
        port: int = 0,
        host: str = HOST,
        *,
        slow: float = 30.0,
        retry_after: int | str = 1,
        huge: int = 64_000_000,
        said: Callable[[str], None] | None = None,
    ) -> None:
        self.slow = slow
        self.retry_after = retry_after
        self.huge = huge
        self._said = said
        self._lock = threading.Lock()
        self._modes = dict.fromkeys(TOOLS, OK)
        self._requests: Counter[str] = Counter()
        self._answered: Counter[tuple[str, str]] = Counter()
        self._keys: Counter[tuple[str, str]] = Counter()
        self._asked: deque[Asked] = deque(maxlen=REMEMBERED)
        self._followed = 0
        self._server = _Server((host, port), self)
        name = f"[{host}]" if ":" in host else host
        self.url = f"http://{name}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def start(self) -> Self:
        """Begins to serve. Once only: a stopped one stays stopped."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stops at once: whoever waits for an answer loses the connection, and none is open afterwards."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self._server.drop_connections()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def mode(self, tool: str, mode: str) -> None:
        """How `tool` behaves from now on: one of MODES, or `random:P[:seed]`. Raises ValueError for other words."""
        if tool not in TOOLS:
            raise ValueError(f"{tool[:40]!r} is no tool of the simulator; it has {', '.join(TOOLS)}.")
        checked = check_mode(mode)
        with self._lock:
            self._modes[tool] = checked

    def mode_of(self, tool: str) -> str:
        """How `tool` behaves now."""
        with self._lock:
            return self._modes[tool]

    def requests(self, tool: str, key: str | None = None) -> int:
        """Requests of `tool` that were read, or those of one Idempotency-Key."""
        with self._lock:
            return self._requests[tool] if key is None else self._keys[tool, key]

    def asked(self, tool: str) -> list[Asked]:
        """The latest requests of `tool`, the oldest first."""
        with self._lock:
            return [asked for asked in self._asked if asked.tool == tool]

    @property
    def followed(self) -> int:
        """How many redirects somebody followed to the private address."""
        with self._lock:
            return self._followed

    def forget(self) -> None:
        """Counts from zero again; modes stay."""
        with self._lock:
            for counted in (self._requests, self._answered, self._keys, self._asked):
                counted.clear()
            self._followed = 0

    def state(self) -> dict[str, Any]:
        """Modes and counts as JSON: {"url", "tools": {name: {"mode", "requests", "answered": {mode: n},
        "keys": {key: n}}}, "followed"}."""
        with self._lock:
            tools = {
                tool: {
                    "mode": self._modes[tool],
                    "requests": self._requests[tool],
                    "answered": {mode: n for (of, mode), n in sorted(self._answered.items()) if of == tool},
                    "keys": {key: n for (of, key), n in self._keys.items() if of == tool},
                }
                for tool in TOOLS
            }
            return {"url": self.url, "tools": tools, "followed": self._followed}

    def count(self, tool: str, path: str, headers: Mapping[str, str], body: bytes) -> str:
        """Counts a request that was read in full; gives the mode in which it is to be answered. For the handler."""
        key = headers.get("idempotency-key", "")
        with self._lock:
            self._requests[tool] += 1
            self._keys[tool, key] += 1
            mode = mode_of_request(self._modes[tool], tool, key, self._keys[tool, key])
            self._answered[tool, mode] += 1
            self._asked.append(Asked(tool, path, key, headers, body, mode))
            if len(self._keys) > MOST_KEYS:
                del self._keys[next(iter(self._keys))]
        if self._said is not None:
            self._said(f"{tool}: {mode}  {key}")
        return mode

    def count_followed(self) -> None:
        """Counts a redirect that was followed. For the handler."""
        with self._lock:
            self._followed += 1

    def wait(self, connection: socket.socket, seconds: float) -> bool:
        """Waits; False if the client went away, or the simulator stops, before the time was over. For the handler."""
        poll = select.poll()
        poll.register(connection, select.POLLIN)
        return not poll.poll(seconds * 1000)  # its end can be read, whoever ended it


class _Server(ThreadingTCPServer):
    """A thread for each connection, and a list of those that are open."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], tools: FlakyTools) -> None:
        self.tools = tools
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._open: set[socket.socket] = set()
        self._changed = threading.Condition()
        super().__init__(address, Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._changed:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self._changed:
            self._open.discard(request)
            self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error here; anything else is told as usual."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def drop_connections(self) -> None:
        """Closes what is open, and waits until every thread has let go of it."""
        with self._changed:
            for request in self._open:
                with contextlib.suppress(OSError):
                    request.shutdown(socket.SHUT_RDWR)
            self._changed.wait_for(lambda: not self._open, timeout=10)
