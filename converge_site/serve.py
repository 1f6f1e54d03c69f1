"""`python -m converge_site.serve`: daphne that answers what it was asked before it ends.

Daphne itself cancels every request under way when it gets SIGTERM, and a person would not know whether what they sent
was taken. Here the door is shut first, requests get CONVERGE_GRACE_SECONDS to be answered, and only then is the rest
cancelled: sockets, whose pages connect again by themselves, and requests that take longer, whose forms carry a receipt
and may be sent again.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from daphne.server import Server  # before all else of Twisted: it chooses the reactor

from daphne.cli import CommandLineInterface  # isort: skip
from daphne.http_protocol import WebRequest  # isort: skip
from twisted.internet import defer, reactor as _reactor  # isort: skip

reactor: Any = _reactor  # chosen at run time; its type knows the least of them only
LOOK_EVERY_SECONDS = 0.05


class PatientServer(Server):
    """Daphne's server, but for its end."""

    grace = 10.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._doors: list[Any] = []

    def listen_success(self, port: Any) -> None:
        """Daphne forgets what it listens on."""
        super().listen_success(port)
        self._doors.append(port)

    def kill_all_applications(self) -> Any:
        """Called once, when the end was asked for. Gives a deferred for which Twisted waits."""
        for port in self._doors:
            port.stopListening()
        done: Any = defer.Deferred()
        self._wait_for_answers(done, self.grace)
        return done

    def _wait_for_answers(self, done: Any, left: float) -> None:
        if left > 0 and self._requests_under_way():
            reactor.callLater(LOOK_EVERY_SECONDS, self._wait_for_answers, done, left - LOOK_EVERY_SECONDS)
            return
        # Not daphne's own: it stumbles over a connection whose application was done and cleared away.
        running = [app for _, app in self._applications() if not app.done()]
        for app in running:
            app.cancel()
        killed: Any = defer.Deferred.fromFuture(asyncio.gather(*running, return_exceptions=True))
        # A turn of the loop more, in which the last answers leave.
        killed.addBoth(lambda _: reactor.callLater(LOOK_EVERY_SECONDS, done.callback, None))

    def _requests_under_way(self) -> bool:
        return any(isinstance(of, WebRequest) and not app.done() for of, app in self._applications())

    def _applications(self) -> list[tuple[Any, Any]]:
        found = [(of, details.get("application_instance")) for of, details in self.connections.items()]
        return [(of, app) for of, app in found if app is not None]


class PatientDaphne(CommandLineInterface):
    """Daphne's command line, with that server."""

    server_class = PatientServer


def main() -> None:
    """Serves; the arguments are daphne's."""
    from django.conf import settings

    import converge_site.asgi  # noqa: F401  # sets Django up, so that the settings can be read

    PatientServer.grace = settings.CONVERGE_GRACE_SECONDS
    PatientDaphne().run(sys.argv[1:])


if __name__ == "__main__":
    main()
