"""`manage.py flaky_tools`: the simulator of tools that fail, and the words that break and heal it."""

from __future__ import annotations

import json
import os
import re
import signal
from argparse import RawDescriptionHelpFormatter
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from runtime.flaky_address import listening_place
from runtime.tools.flaky import TOOLS, FlakyTools
from runtime.tools.flaky.modes import OK, WORDS, check_mode

_WRITTEN = re.compile(r"flaky tools (http://[^\s/]+)")
MOST_STATE = 64_000_000  # bytes; a simulator that ran for long has counted many keys


class Command(BaseCommand):
    help = (
        "Without arguments, serves the simulated tools that the samples of `growth` call, until Ctrl-C "
        "(`up` does so already). With `tool=mode`, tells the one that runs how to behave, e.g. `search=down writer=ok`."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.formatter_class = RawDescriptionHelpFormatter
        width = max(len(mode) for mode in WORDS)
        modes = "\n".join(f"  {mode:{width}}  {words}" for mode, words in WORDS.items())
        parser.epilog = (
            f"tools: {', '.join(TOOLS)}\nmodes:\n  {OK:{width}}  answers well\n{modes}\n"
            f"  random:P[:seed]  a share P (0 to 1) of requests fails, each in another of these ways"
        )
        parser.add_argument("modes", nargs="*", metavar="tool=mode", help="how a tool behaves from now on")
        parser.add_argument(
            "--state", action="store_true", help="print modes and counts of the one that runs, as JSON"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        modes = [_read_mode(text) for text in options["modes"]]
        if not modes and not options["state"]:
            self._serve()
            return
        url = running_url()
        for tool, mode in modes:
            ask_simulator(url, "POST", "/_mode", {"tool": tool, "mode": mode})
        state = ask_simulator(url, "GET", "/_state")
        if options["state"]:
            self.stdout.write(json.dumps(state, indent=2, ensure_ascii=False))
            return
        for tool, of in state["tools"].items():
            self.stdout.write(f"{tool}: {of['mode']}")

    def _serve(self) -> None:
        url: str = settings.CONVERGE_FLAKY_TOOLS_URL
        place = listening_place(url)
        if place is None:
            raise CommandError(
                f"CONVERGE_FLAKY_TOOLS_URL is {url}; the simulator only listens on this machine (127.0.0.1)."
            )
        try:
            tools = FlakyTools(place[1], place[0], said=self._say)
        except OSError as error:
            raise CommandError(f"The simulator cannot listen at {url}: {error.strerror}.") from error
        # Blocked before its threads start, so that this one alone takes the signal.
        ends = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
        signal.pthread_sigmask(signal.SIG_BLOCK, ends)
        try:
            with tools:
                self._say(f"Flaky tools are at {tools.url}/ ({', '.join(TOOLS)}). Ctrl-C stops them.")
                signal.sigwait(ends)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ends)

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _read_mode(text: str) -> tuple[str, str]:
    tool, equals, mode = text.partition("=")
    if not equals or tool not in TOOLS:
        raise CommandError(f"{text[:40]!r} is not tool=mode; tools are {', '.join(TOOLS)}.")
    try:
        return tool, check_mode(mode)
    except ValueError as error:
        raise CommandError(str(error)) from error


def running_url() -> str:
    """Where the simulator of this installation runs: as set, else where the `up` that holds this home put it."""
    if os.environ.get("CONVERGE_FLAKY_TOOLS_URL"):
        return str(settings.CONVERGE_FLAKY_TOOLS_URL)
    try:
        written = _WRITTEN.search((settings.CONVERGE_HOME / "up.lock").read_text())
    except (OSError, UnicodeDecodeError):
        written = None
    return written[1] if written else str(settings.CONVERGE_FLAKY_TOOLS_URL)


def ask_simulator(url: str, method: str, path: str, value: object = None) -> Any:
    """The JSON that the simulator at `url` answers. Raises CommandError in words if there is none, or it refuses."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    try:
        connection.request(method, path, json.dumps(value), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        said = json.loads(answer.read(MOST_STATE))
    except (OSError, HTTPException, ValueError) as error:
        raise CommandError(
            f"No simulator answers at {url}. `manage.py up` starts one, and so does `manage.py flaky_tools`."
        ) from error
    finally:
        connection.close()
    if answer.status != 200:
        raise CommandError(str(said.get("error", answer.reason)))
    return said
