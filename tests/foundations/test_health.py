"""/healthz says whether this process can serve, and if not, why."""

import time

import pytest
from django.db import OperationalError
from django.test import Client, RequestFactory

from converge_site import health

pytestmark = pytest.mark.django_db


def test_answers_ok_when_database_and_redis_do(client: Client) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert "no-store" in answer["Cache-Control"]


def test_redis_out_is_503_with_the_cause(client: Client, settings: object, tmp_path: object) -> None:
    settings.CONVERGE_REDIS_URL = f"unix://{tmp_path}/nobody.sock"  # type: ignore[attr-defined]
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json() == {"status": "unavailable", "causes": ["redis: ConnectionError"]}


def test_database_out_is_503_with_the_cause(monkeypatch: pytest.MonkeyPatch, rf: RequestFactory) -> None:
    def refuse() -> None:
        raise OperationalError("password=secret host=db")

    monkeypatch.setattr(health, "_probes", (health.Probe("database", refuse),))
    answer = health.healthz(rf.get("/healthz"))
    assert answer.status_code == 503
    assert b"database: OperationalError" in answer.content
    assert b"secret" not in answer.content


def test_dependency_that_hangs_costs_one_deadline(
    monkeypatch: pytest.MonkeyPatch, rf: RequestFactory
) -> None:
    import threading

    released = threading.Event()
    monkeypatch.setattr(health, "ANSWER_WITHIN_SECONDS", 0.1)
    probe = health.Probe("database", lambda: bool(released.wait(10)) and None)
    monkeypatch.setattr(health, "_probes", (probe, health.Probe("redis", lambda: None)))
    began = time.monotonic()
    try:
        answers = [health.healthz(rf.get("/healthz")) for _ in range(3)]
    finally:
        released.set()
    assert {answer.status_code for answer in answers} == {503}
    assert b"database: no answer within 0.1 s" in answers[0].content
    assert time.monotonic() - began < 2
