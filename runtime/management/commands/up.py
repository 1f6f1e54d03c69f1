"""`manage.py up`: everything that one machine needs, in the foreground."""

import io
import json
import os
import socket
import sys
from argparse import ArgumentTypeError
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError, connections
from redis import Redis

from runtime import embedded_redis
from runtime.flaky_address import address_beside, listening_place
from runtime.home_lock import HomeInUse, hold_home
from runtime.storage_trouble import trouble_in
from runtime.supervise import ChildSpec, Supervisor

HOST = "127.0.0.1"
READY_WITHIN_SECONDS = 60.0


def _read_port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise ArgumentTypeError(f"{text!r} is not a number from 1 to 65535")
    return int(text)


def _read_workers(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 64:
        raise ArgumentTypeError(f"{text!r} is not a number from 1 to 64")
    return int(text)


class Command(BaseCommand):
    help = "Prepares the database, starts Redis, web, workers and scheduler, and keeps them running until Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--port", type=_read_port, default=settings.CONVERGE_PORT, help="default: CONVERGE_PORT, or 8000"
        )
        parser.add_argument("--workers", type=_read_workers, default=2, help="runtime processes (default 2)")
        parser.add_argument(
            "--no-flaky-tools",
            action="store_false",
            dest="flaky_tools",
            help="leave out the simulated tools that the samples of `growth` call",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        port: int = options["port"]
        home: Path = settings.CONVERGE_HOME
        tools = flaky_tools_url(port)
        about = f"process {os.getpid()}, http://{HOST}:{port}/"
        try:
            with hold_home(home, f"{about}, flaky tools {tools}" if options["flaky_tools"] else about):
                self._run(home, port, options["workers"], tools if options["flaky_tools"] else "")
        except HomeInUse as error:
            raise CommandError(
                f"Converge already runs on {home} ({error.holder}). Stop it first, or set CONVERGE_HOME to another "
                "directory to run a second one beside it."
            ) from error
        except OSError as error:
            if (trouble := trouble_in(error)) is None:
                raise
            raise CommandError(trouble.text) from error

    def _run(self, home: Path, port: int, workers: int, tools: str) -> None:
        """`tools` is where to serve the simulated tools, "" for nowhere."""
        require_free_port(port)
        # Children read it from here: cookies' names and the addresses in links follow the port.
        os.environ["CONVERGE_PORT"] = str(port)
        os.environ["CONVERGE_HOME"] = str(home)
        os.environ["CONVERGE_FLAKY_TOOLS_URL"] = flaky_tools_url(port)
        logs = home / "logs"
        logs.mkdir(mode=0o700, exist_ok=True)
        self._prepare_database()
        supervisor = Supervisor(logs, settings.BASE_DIR, self._report, patience())
        with supervisor.taking_signals():
            redis_name = self._start_redis(supervisor)
            manage = (sys.executable, str(settings.BASE_DIR / "manage.py"))
            supervisor.add(ChildSpec("web", web_command(port), stop_rank=2))
            for number in range(1, workers + 1):
                supervisor.add(ChildSpec(f"worker-{number}", (*manage, "worker"), stop_rank=1))
            supervisor.add(ChildSpec("scheduler", (*manage, "reconcile"), stop_rank=0))
            trouble = self._start_flaky_tools(supervisor, manage, tools) if tools else ""
            if not self._wait_until_ready(supervisor, port, logs):
                return
            self._greet(port, workers, redis_name, logs)
            if trouble:
                self._report(f"The simulated tools are left out: {trouble}")
            elif tools:
                self._report(f"Simulated tools, to break and to heal: {tools}/")
            self._report("Ctrl-C stops all.")
            supervisor.run_until_signal()
            self._report("Stopping.")
        self._report("Stopped.")

    def _prepare_database(self) -> None:
        try:
            call_command("migrate", interactive=False, verbosity=0)
        except OperationalError as error:
            trouble = trouble_in(error)
            text = trouble.text if trouble else f"The database cannot be used: {error}".strip()
            raise CommandError(text) from error
        call_command("sync_packs", stdout=self.stdout)
        connections.close_all()

    def _start_redis(self, supervisor: Supervisor) -> str:
        """Returns what carries the queue, in words."""
        if settings.CONVERGE_REDIS_SOCKET is None:
            if not embedded_redis.answers(settings.CONVERGE_REDIS_URL, timeout=3.0):
                raise CommandError("The Redis at CONVERGE_REDIS_URL does not answer.")
            return "Redis at CONVERGE_REDIS_URL"
        try:
            program = embedded_redis.find_server()
            command = embedded_redis.server_command(program, settings.CONVERGE_REDIS_SOCKET)
        except (embedded_redis.NoRedisServer, PermissionError) as error:
            raise CommandError(str(error)) from error
        supervisor.add(ChildSpec("redis", command, stop_rank=3))
        if not supervisor.run_until(lambda: embedded_redis.answers(settings.CONVERGE_REDIS_URL), seconds=15):
            raise CommandError(
                "The embedded Redis does not answer; its log is logs/redis.log under CONVERGE_HOME."
            )
        return f"embedded {describe_redis(settings.CONVERGE_REDIS_URL)}"

    def _start_flaky_tools(self, supervisor: Supervisor, manage: tuple[str, ...], url: str) -> str:
        """Returns "" or why they are not served: everything else runs without them."""
        place = listening_place(url)
        if place is None:
            return f"CONVERGE_FLAKY_TOOLS_URL is {url}, which is not on this machine."
        if not is_free(*place):
            return f"port {place[1]} is in use. CONVERGE_FLAKY_TOOLS_URL chooses another."
        # Stopped after the workers, whose last cycle may still call them.
        supervisor.add(ChildSpec("flaky-tools", (*manage, "flaky_tools"), stop_rank=2))
        return ""

    def _wait_until_ready(self, supervisor: Supervisor, port: int, logs: Path) -> bool:
        """Returns False if it was stopped before it was ready."""
        while not supervisor.is_stopping:
            if supervisor.run_until(lambda: ask_health(port) == "", READY_WITHIN_SECONDS):
                return True
            if not supervisor.is_stopping:
                cause = ask_health(port) or "it answers now"
                self._report(f"The web process is not ready yet ({cause}). Logs: {logs}")
        self._report("Stopped before it was ready.")
        return False

    def _greet(self, port: int, workers: int, redis_name: str, logs: Path) -> None:
        address = f"http://{HOST}:{port}"
        link = io.StringIO()
        call_command("sign_in_link", if_needed=True, base_url=address, stdout=link)
        connections.close_all()
        self._report("")
        self._report(self.style.SUCCESS(f"Converge is running at {address}/"))
        if link.getvalue():
            self._report("")
            self._report(
                "No admin has a password yet. This link signs you in as admin, once, within the hour:"
            )
            self._report(f"  {link.getvalue().strip()}")
            self._report(f"To set a password: {manage_command()} changepassword admin")
        self._report("")
        self._report(f"{workers} worker{'s' if workers > 1 else ''}, scheduler, {redis_name}. Logs: {logs}")

    def _report(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def patience() -> float:
    """Seconds a child gets to end: what it takes itself, and some to be done with it."""
    return float(settings.CONVERGE_GRACE_SECONDS) + 5.0


def manage_command() -> str:
    """How a person calls manage.py from where they stand, with the Python that runs this."""
    here = Path.cwd()
    # Not resolved: a virtual environment's Python is a link to another that lacks its packages.
    parts = (Path(sys.executable), settings.BASE_DIR / "manage.py")
    return " ".join(str(p.relative_to(here) if p.is_relative_to(here) else p) for p in parts)


def web_command(port: int) -> tuple[str, ...]:
    """Returns the command line of the web process."""
    return (
        *(sys.executable, "-m", "converge_site.serve", "-b", HOST, "-p", str(port)),
        *("--verbosity", "0", "--no-server-name"),
        # Daphne would close every socket after a day with code 1000, which pages take for a farewell.
        *("--websocket_timeout", "-1"),
        "converge_site.asgi:application",
    )


def flaky_tools_url(port: int) -> str:
    """Where the simulated tools are for an `up` that serves on `port`."""
    return os.environ.get("CONVERGE_FLAKY_TOOLS_URL") or address_beside(port)


def is_free(host: str, port: int) -> bool:
    """Whether somebody could listen there now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
        return True


def require_free_port(port: int) -> None:
    """Raises CommandError if nobody could listen on `port` now."""
    with socket.socket() as probe:
        # As the web process will ask for it: a connection that lingers from an earlier run is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except PermissionError as error:
            raise CommandError(
                f"Port {port} needs more rights; choose one above 1023: --port 8000."
            ) from error
        except OSError as error:
            raise CommandError(
                f"Port {port} on {HOST} is in use. Stop what listens there, or choose another: "
                f"`--port {port + 1 if port < 65535 else 8000}`, or CONVERGE_PORT."
            ) from error


def ask_health(port: int) -> str:
    """Returns "" if the web process is ready, else what it says is missing."""
    connection = HTTPConnection(HOST, port, timeout=3)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        body = answer.read(10_000)
        if answer.status == 200:
            return ""
        return ", ".join(json.loads(body)["causes"])
    except (OSError, HTTPException, ValueError, KeyError):
        return "it does not answer"
    finally:
        connection.close()


def describe_redis(url: str) -> str:
    """Returns the server's name and version, e.g. "valkey 8.1.8"."""
    with Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1, retry=None) as client:
        about: Any = client.info("server")
    return (
        f"{about.get('server_name', 'redis')} {about.get('valkey_version') or about.get('redis_version', '')}"
    )
