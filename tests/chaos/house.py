"""One installation to be disturbed: Redis, web, workers and the scheduler, on a home and a database of its own."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runtime import embedded_redis
from runtime.tools.flaky import FlakyTools
from tests.chaos.databases import Disk, Line, Postgres, wait_for
from tests.chaos.members import ROOT, Keeper, Member, Starter, read_said
from tests.ports import take_port

HOST = "127.0.0.1"
PEOPLE = ("otto", "olga", "oscar")


class House:
    """Made before Django's settings are read: it says in the environment where everything is.

    `kind` of database is "sqlite" or "postgresql". `lease` is in seconds.
    """

    def __init__(self, kind: str = "sqlite", quick: bool = True) -> None:
        # Short, for sockets lie beneath it.
        self.root = Path(tempfile.mkdtemp(prefix="cvg-chaos-"))
        self.root.chmod(0o755)  # PostgreSQL may run as another user
        self.home, self.logs = self.root / "home", self.root / "logs"
        self.home.mkdir(mode=0o700)
        self.logs.mkdir(mode=0o700)
        self.kind = kind
        # PostgreSQL begins with 40 MB, and keeps up to 80 of its log.
        self.disk = Disk(self.home) if kind == "sqlite" else Disk(self.root / "pg", 192)
        self.postgres = None if kind == "sqlite" else Postgres(self.root / "pg")
        self.tools = FlakyTools(slow=0.2, retry_after=0)
        self.port = take_port()
        self._settle_environment("tests.chaos.quick_settings" if quick else "converge_site.settings")
        self.sessions: dict[str, str] = {}
        self.sparing = False

    def _settle_environment(self, settings: str) -> None:
        for name in [n for n in os.environ if n.startswith(("CONVERGE_", "DJANGO_"))]:
            del os.environ[name]
        os.environ |= {
            "CONVERGE_HOME": str(self.home),
            "CONVERGE_PORT": str(self.port),
            "CONVERGE_FLAKY_TOOLS_URL": self.tools.url,
            "DJANGO_SETTINGS_MODULE": settings,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(self.root / "installed")]),
        }
        if self.postgres is not None:
            os.environ["CONVERGE_DATABASE_URL"] = self.postgres.url(through_line=False)

    def prepare(self, template: Path | None = None) -> None:
        """Makes the tables, the packs and the people. `template` is an SQLite file to begin with, written if absent."""
        import django
        from django.core.management import call_command

        sys.path.insert(0, str(self.root / "installed"))
        django.setup()
        from django.conf import settings
        from django.db import connections

        from runtime.actions.sync_packs import sync_packs
        from tests.chaos.packs import PACKS
        from tests.runtime.stage import offer

        offer(self.root / "installed", {name: f"tests.chaos.packs:{name}" for name in PACKS})

        found = template is not None and template.exists()
        if found and self.kind == "sqlite":
            shutil.copy(template, settings.DATABASES["default"]["NAME"])  # type: ignore[arg-type]
        else:
            call_command("migrate", interactive=False, verbosity=0)
            sync_packs()
            make_people()
            connections.close_all()
            if template is not None and self.kind == "sqlite":
                draft = template.with_suffix(f".{os.getpid()}")
                shutil.copy(settings.DATABASES["default"]["NAME"], draft)
                draft.replace(template)
        self.sessions = {name: sign_in(name) for name in PEOPLE}

    def start(self, workers: int = 2) -> None:
        """Starts everything, and returns when it answers."""
        from django.conf import settings

        self.tools.start()
        child_env = dict(os.environ)
        if self.postgres is not None:
            child_env["CONVERGE_DATABASE_URL"] = self.postgres.url(through_line=True)
        self.keeper = Keeper(Starter(child_env, self.logs))
        self.redis_url: str = settings.CONVERGE_REDIS_URL
        command = embedded_redis.server_command(embedded_redis.find_server(), settings.CONVERGE_REDIS_SOCKET)
        self.redis = self.keeper.add(Member("redis", "redis", command))
        self.scheduler = self.keeper.add(Member("scheduler", "reconcile"))
        web = ["-b", HOST, "-p", str(self.port), "--verbosity", "0", "--no-server-name"]
        self.web = self.keeper.add(
            Member("web", "web", [*web, "--websocket_timeout", "-1", "converge_site.asgi:application"])
        )
        self.workers = [self.keeper.add(Member(f"worker-{n}", "worker")) for n in range(1, workers + 1)]
        self.keeper.start()
        if not wait_for(self.is_ready, 90):
            raise RuntimeError(f"the installation does not come up:\n{self.said()[-3000:]}")

    def stop(self) -> None:
        """Ends everything and takes the home away."""
        try:
            if hasattr(self, "keeper"):
                self.keeper.stop()
            self.tools.stop()
        finally:
            if self.postgres is not None:
                self.postgres.stop()
            self.disk.close()
            shutil.rmtree(self.root, ignore_errors=True)

    def set_workers(self, number: int) -> None:
        """So many workers, no more and no fewer."""
        while len(self.workers) > number:
            self.keeper.remove(self.workers.pop())
        while len(self.workers) < number:
            self.workers.append(self.keeper.add(Member(f"worker-{len(self.workers) + 1}", "worker")))

    @property
    def targets(self) -> list[Member]:
        """The workers that faults may strike: all, or all but the first."""
        return self.workers[self.sparing :]

    @property
    def url(self) -> str:
        """Where the pages are."""
        return f"http://{HOST}:{self.port}"

    @property
    def line(self) -> Line:
        """What carries SQL to PostgreSQL."""
        assert self.postgres is not None
        return self.postgres.line

    def is_ready(self) -> bool:
        """Whether the web process answers, and so do database and Redis."""
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=3) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def is_held(self, worker: str) -> bool:
        """Whether who is named as a job's worker is a process of ours that is up."""
        pid = int(worker.rpartition(":")[2] or 0)
        processes = [member.process for member in list(self.workers)]
        return any(p is not None and p.pid == pid and p.is_alive and not p.stands_still for p in processes)

    def stands_still(self) -> bool:
        """Whether some process of ours is stopped."""
        processes = [member.process for member in list(self.keeper.members.values())]
        return any(p is not None and p.is_alive and p.stands_still for p in processes)

    def pids(self) -> list[int]:
        """Of the processes that write to the database."""
        members = [self.web, self.scheduler, *self.workers]
        return [m.process.pid for m in members if m.process is not None]

    def heal(self) -> None:
        """Whoever stands still goes on, whoever was held down may come back."""
        for member in list(self.keeper.members.values()):
            member.held_down = False
            member.signal(signal.SIGCONT)

    def said(self) -> str:
        """What all logs hold."""
        return "\n".join(f"== {path.name}\n{read_said(path)}" for path in sorted(self.logs.iterdir()))

    def strikes(self) -> Mapping[str, int]:
        """How often each failpoint struck since the logs were begun."""
        found: dict[str, int] = {}
        for text in self.said().splitlines():
            if " runtime.failpoints: failpoint " in text:
                name = text.rpartition("failpoint ")[2].partition(":")[0]
                found[name] = found.get(name, 0) + 1
        return found


def make_people() -> None:
    """Three operators: one submits, and each plan needs the two others."""
    from django.contrib.auth.models import Group, User

    for name in PEOPLE:
        user, _ = User.objects.get_or_create(username=name)
        user.groups.add(Group.objects.get_or_create(name="operator")[0])


def sign_in(name: str) -> str:
    """The session cookie of a person who has signed in."""
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.test import Client

    client: Any = Client()
    client.force_login(User.objects.get(username=name))
    return str(client.cookies[settings.SESSION_COOKIE_NAME].value)
