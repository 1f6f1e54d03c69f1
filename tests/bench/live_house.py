"""What the live rows are measured on: a web process, a worker with a job that streams, people, and a browser."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.bench.house import make_submitter, wait_until

PACE = 100  # merges a second
FLAGS = ["--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-component-update"]
# Notes when each entry was painted: after the frame in which it was drawn.
NOTE_PAINTS = """() => {
    const noted = window.noted = { last: 0, paints: [], gaps: 0, most: 0 };
    document.addEventListener("converge:changed", () => {
        const rows = document.querySelectorAll("#journal-rows .entry");
        if (!rows.length) return;
        const seqs = [...rows].map((row) => Number(row.dataset.seq));
        for (let i = 1; i < seqs.length; i += 1) if (seqs[i] !== seqs[i - 1] + 1) noted.gaps += 1;
        noted.most = Math.max(noted.most, rows.length);
        const last = seqs.at(-1);
        if (last <= noted.last) return;
        noted.last = last;
        requestAnimationFrame(() => setTimeout(() => noted.paints.push([last, Date.now() / 1000])));
    });
}"""


@dataclass(frozen=True)
class Web:
    """A web process, and the cookie of somebody who may look."""

    process: psutil.Process
    port: int
    cookie_name: str
    cookie: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def header(self) -> str:
        """As a request carries it."""
        return f"{self.cookie_name}={self.cookie}"

    def cpu_seconds(self) -> float:
        """What it has used so far."""
        used = self.process.cpu_times()
        return float(used.user + used.system)

    def memory_kb(self) -> float:
        """What it has in memory."""
        return float(self.process.memory_info().rss) / 1024


@contextmanager
def running_web(home: Path) -> Iterator[Web]:
    """The web process as `manage.py up` starts it, on a port of its own."""
    from django.conf import settings

    from runtime import supervise
    from runtime.management.commands.up import web_command

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    started = supervise.start_process(web_command(port), home / "web.log", settings.BASE_DIR)
    try:
        wait_until(lambda: _answers(port), seconds=120)
        yield Web(psutil.Process(started.pid), port, settings.SESSION_COOKIE_NAME, _open_session())
    finally:
        supervise.stop_process(started, grace=5)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/sign-in/", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _open_session() -> str:
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.auth.models import User
    from django.contrib.sessions.backends.db import SessionStore

    user = User.objects.filter(username="bench").first() or make_submitter()
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return str(session.session_key)


def start_stream(seconds: float) -> Any:
    """A job that merges PACE facts a second, each in a cycle of its own, for so long; running already."""
    from django.contrib.auth.models import User

    from runtime.actions import submit_job

    user = User.objects.get(username="bench")
    steps = round(seconds * PACE)
    job = submit_job(user, "bench-stream", [{"key": "start", "subject": "here", "value": steps}])
    wait_until(lambda: _refreshed(job).cycle >= 5, seconds=60)
    return job


def _refreshed(job: Any) -> Any:
    job.refresh_from_db()
    return job


def end_stream(job: Any) -> None:
    """Cancels what is left of it, and waits until nobody has it."""
    from django.contrib.auth.models import User

    from runtime.actions import cancel_job

    if _refreshed(job).is_active:
        cancel_job(User.objects.get(username="bench"), job.pk, "", f"bench-{job.pk}")
    wait_until(lambda: not _refreshed(job).is_active, seconds=60)


def merged_at(job: Any) -> dict[int, float]:
    """When each fact of the stream was said, right before it was merged and committed: seconds since the epoch by
    entry."""
    from runtime.models import Entry

    rows = Entry.objects.filter(job=job, key="step", agent="go on").values_list("seq", "body")
    said = ((seq, json.loads(body).get("value")) for seq, body in rows)
    return {seq: value["at"] for seq, value in said if value}


@contextmanager
def open_browser(web: Web) -> Iterator[Any]:
    """A page of a real Chromium, signed in."""
    from playwright.sync_api import sync_playwright

    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if (path := shutil.which(name))), None)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=found, args=[*FLAGS, "--js-flags=--expose-gc", "--enable-precise-memory-info"]
        )
        context = chromium.new_context(base_url=web.url, viewport={"width": 1280, "height": 900})
        context.add_cookies([{"name": web.cookie_name, "value": web.cookie, "url": web.url}])
        context.add_init_script(f"({NOTE_PAINTS})()")
        yield context.new_page()
        chromium.close()


@contextmanager
def many_viewers(web: Web, job: Any, count: int) -> Iterator[dict[str, Any]]:
    """So many viewers in a process of their own; what they saw is in the dictionary afterwards."""
    told: dict[str, Any] = {}
    command = [sys.executable, "-m", "tests.bench.live_viewers", str(web.port), str(job.pk), str(count)]
    with subprocess.Popen(
        [*command, web.header], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as viewers:
        assert viewers.stdin is not None
        assert viewers.stdout is not None
        if viewers.stdout.readline().strip() != "ready":
            raise RuntimeError("the viewers did not come about")
        yield told
        viewers.stdin.close()
        told |= json.loads(viewers.stdout.readline())
