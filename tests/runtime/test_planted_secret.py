"""A secret is in the environment of the workers and in what they send. It is nowhere else, whatever the tool does."""

from __future__ import annotations

import contextlib
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from pytest_httpserver import HTTPServer
from redis import Redis
from werkzeug import Request, Response

from runtime.actions import retry_job
from runtime.models import Agent, Entry, Job, Tool, ToolCall
from tests.runtime.fixtures import Use
from tests.runtime.packs import ASKER_SEEDS
from tests.runtime.stage import person, receipt, submit
from tests.runtime.workers import Workers
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = 'sk-planted/"quoted"+7f3a91'
HOSTILE: dict[str, Callable[[str, str], Response]] = {
    # What a tool may do with the header that it got, and the form it gives it.
    "in a value": lambda subject, told: answer(subject, "yes", {"echo": told}),
    "as a subject": lambda subject, told: answer(told, "yes", {}),
    "in a refused value": lambda subject, told: answer(subject, told, {}),
    "in a header and a redirect": lambda subject, told: Response(
        status=302, headers={"Location": f"http://127.0.0.1/?key={told.split()[1]}", "X-Echo": told}
    ),
    "in an error": lambda subject, told: Response(f"no such key: {told}", status=401),
    "in no JSON": lambda subject, told: Response(f"<h1>{told}</h1>", status=200),
    "in a wrong form": lambda subject, told: Response(json.dumps({told: [told]}), status=200),
}


def answer(subject: str, value: str, evidence: dict[str, str]) -> Response:
    said = {"key": "opinion", "subject": subject, "value": value, "evidence": evidence}
    return Response(json.dumps({"proposals": [said]}), content_type="application/json")


def told_by(redis: Redis, key: bytes) -> list[str]:
    """What lies under a key, unpacked: RQ compresses what it keeps, and DUMP what is long."""
    read: dict[str, Callable[[], Any]] = {
        "hash": lambda: redis.hgetall(key),
        "string": lambda: [redis.get(key)],
        "list": lambda: redis.lrange(key, 0, -1),
        "set": lambda: redis.smembers(key),
        "zset": lambda: redis.zrange(key, 0, -1),
        "stream": lambda: [part for _, row in redis.xrange(key) for pair in row.items() for part in pair],
    }
    held = read.get(redis.type(key).decode(), list)()  # a key may be gone by now
    parts = [part for pair in held.items() for part in pair] if isinstance(held, dict) else list(held)
    return [unpacked(part) for part in (key, *parts)]


def unpacked(part: bytes) -> str:
    with contextlib.suppress(zlib.error):
        part = zlib.decompress(part)
    return part.decode("latin-1")


def test_what_rq_keeps_is_read_unpacked() -> None:
    assert unpacked(zlib.compress(SECRET.encode())) == SECRET


def what_the_database_keeps() -> dict[str, str]:
    """SQLite's files as they lie there, or every row of every table."""
    if connection.vendor == "sqlite":
        database = Path(str(connection.settings_dict["NAME"]))
        files = [database, database.with_name(f"{database.name}-wal")]
        found = {file.name: file.read_bytes().decode("latin-1") for file in files if file.exists()}
        assert database.name in found
        return found
    found = {}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT found::text FROM "{table}" found')
            found[table] = "\n".join(row for (row,) in cursor.fetchall())
    assert "asker" in found["runtime_pack"]
    return found


def everything_kept(workers: Workers, client: Client, job: Job) -> dict[str, str]:
    """All that is stored, queued, logged or shown, by where."""
    found = what_the_database_keeps()
    with Redis.from_url(settings.CONVERGE_REDIS_URL) as redis:
        found["redis"] = "\n".join(text for key in redis.scan_iter() for text in told_by(redis, key))
    found["worker's log"] = workers.said
    logs = Path(settings.CONVERGE_HOME).rglob("*.log")
    found |= {str(log): log.read_text(errors="replace") for log in logs}
    last = Entry.objects.filter(job=job).order_by("-seq").first()
    assert last is not None
    call = ToolCall.objects.filter(job=job).first()
    assert call is not None
    pages = [
        reverse("job", args=[job.pk]),
        f"{reverse('job', args=[job.pk])}journal/",
        f"{reverse('job', args=[job.pk])}entries/{last.seq}/",
        "/tools/",
        "/tools/oracle/",
        "/admin/runtime/tool/",
        f"/admin/runtime/tool/{Tool.objects.get(name='oracle').pk}/change/",
        "/admin/runtime/toolcall/",
        f"/admin/runtime/toolcall/{call.pk}/change/",
        "/admin/runtime/auditrecord/",
    ]
    for page in pages:
        shown = client.get(page, follow=True)
        assert shown.status_code == 200, page
        found[page] = shown.content.decode()
    return found


def test_a_planted_secret_is_kept_nowhere(
    use_packs: Use, workers: Workers, httpserver: HTTPServer, capsys: pytest.CaptureFixture[str]
) -> None:
    use_packs("asker")
    got: list[str] = []
    now: list[Callable[[str, str], Response]] = []

    def misuse(request: Request) -> Response:
        told = request.headers["Authorization"]
        got.append(told)
        return now[0](request.get_json()["item"]["subject"], told)

    httpserver.expect_request("/asked").respond_with_handler(misuse)
    Agent.objects.filter(name="explain").update(enabled=False)
    Tool.objects.filter(name="oracle").update(
        url=httpserver.url_for("/asked"), secret_env="ORACLE_KEY", failure_threshold=1000
    )
    workers.start(1, ORACLE_KEY=SECRET)
    client = Client()
    client.force_login(User.objects.create_superuser("ada"))

    for name, way in HOSTILE.items():
        now[:], got[:] = [way], []
        job = submit("asker", ASKER_SEEDS[:1])
        assert eventually(lambda: bool(got)), workers.said
        assert eventually(lambda: not Job.objects.filter(status__in=["queued", "running"]).exists())
        retry_job(person("otto", "operator"), job.pk, receipt())
        assert eventually(lambda: not Job.objects.filter(status__in=["queued", "running"]).exists())
        call_command("export", str(job.pk))
        kept = {**everything_kept(workers, client, job), "export": capsys.readouterr().out}
        forms = [SECRET, json.dumps(SECRET)[1:-1], SECRET.replace('"', "&quot;"), SECRET.split("/")[0]]
        for where, text in kept.items():
            for form in forms:
                assert form not in text, (where, name)
        assert set(got) == {f"Bearer {SECRET}"}, "it was sent, so it could have been kept"
