"""The log of heads itself: a line changed, taken out or signed by somebody else is found, and not built upon."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings

from runtime import heads
from runtime.head_log import PURPOSE
from runtime.heads import Signer
from runtime.models import Head, Job
from runtime.signing import key_id, own_key
from tests.audit.forging import own_key_of_a_forger, verify
from tests.commands.said import call
from tests.runtime.packs import PANEL_SEEDS
from tests.runtime.stage import run, submit

pytestmark = pytest.mark.django_db(transaction=True)


def with_line(number: int, change: Callable[[str], str]) -> None:
    row = Head.objects.get(number=number)
    Head.objects.filter(number=number).update(line=change(row.line))


def take_out_first(job: Job) -> None:
    Head.objects.filter(number=1).delete()


def take_out_last(job: Job) -> None:
    Head.objects.filter(number=2).delete()


def take_out_all(job: Job) -> None:
    Head.objects.all().delete()


def change_what_it_says(job: Job) -> None:
    with_line(1, lambda line: line.replace('"status":"', '"status":"un'))


def sign_with_another_key(job: Job) -> None:
    line = own_key_of_a_forger().sign(PURPOSE, json.loads(Head.objects.get(number=1).line)["said"])
    Head.objects.filter(number=1).update(line=line.decode())


def give_it_to_another_job(job: Job) -> None:
    Head.objects.filter(number=1).update(job_id=job.pk + 1)


def say_another_cycle(job: Job) -> None:
    Head.objects.filter(number=1).update(cycle=1)


def swap(job: Job) -> None:
    first, second = (Head.objects.get(number=n).line for n in (1, 2))
    with_line(1, lambda _: second)
    with_line(2, lambda _: first)


def doubled(job: Job) -> None:
    Head.objects.create(number=3, job_id=job.pk, cycle=job.cycle, line=Head.objects.get(number=2).line)


@pytest.mark.parametrize(
    "tamper",
    [
        take_out_first,
        take_out_last,
        take_out_all,
        change_what_it_says,
        sign_with_another_key,
        give_it_to_another_job,
        say_another_cycle,
        swap,
        doubled,
    ],
)
def test_a_log_that_was_tampered_with_does_not_hold(signed: Job, tamper: Callable[[Job], None]) -> None:
    assert call("verify", "--all").status == 0
    tamper(signed)
    said = call("verify", "--all")
    assert (said.status, said.out) == (1, "")
    assert "The log of heads: " in said.err


@pytest.mark.parametrize(
    "tamper", [take_out_first, take_out_last, take_out_all, sign_with_another_key, change_what_it_says]
)
def test_verifying_one_job_looks_at_its_heads_and_at_the_end_of_the_log(
    signed: Job, tamper: Callable[[Job], None]
) -> None:
    tamper(signed)
    assert verify(signed).status == 1


@pytest.mark.parametrize("tamper", [take_out_last, take_out_all])
def test_nothing_is_signed_on_a_log_that_was_cut_back(
    signed: Job, tamper: Callable[[Job], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Otherwise the scheduler would mend, with our key, what somebody took out."""
    tamper(signed)
    run(submit("panel", PANEL_SEEDS))
    signer = Signer()
    before = Head.objects.count()
    assert (signer.sign_settled(), signer.sign_settled()) == (0, 0)
    assert Head.objects.count() == before
    said = [record.getMessage() for record in caplog.records if "no head is signed" in record.getMessage()]
    assert len(said) == 1 and "the log of heads was cut back" in said[0]
    assert call("heads").status == 1


def test_nothing_is_signed_on_top_of_what_another_key_signed(
    signed: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A host that was given another key, and a home of its own in which no head is kept."""
    ours = own_key().public
    stranger = own_key_of_a_forger()
    run(submit("panel", PANEL_SEEDS))
    with monkeypatch.context() as there:
        there.setattr(settings, "CONVERGE_HOME", tmp_path)
        there.setattr(heads, "own_key", lambda: stranger)
        there.setattr(heads, "trusted_keys", lambda: frozenset([stranger.public]))
        assert Signer().sign_settled() == 0
        assert (
            f"no head is signed: head 2 is signed by key {key_id(ours)}, which is none of ours" in caplog.text
        )
        assert Head.objects.count() == 2
        # And if it was signed by one of an earlier version, nothing of ours comes on top of that.
        there.setattr(heads, "read_row", lambda row, trusted: None)
        there.setattr(heads, "compare_heads", lambda *given: None)
        assert Signer().sign_settled() == 1
    run(submit("panel", PANEL_SEEDS))
    caplog.clear()
    assert Signer().sign_settled() == 0
    assert f"head 3 is signed by key {key_id(stranger.public)}, which is none of ours" in caplog.text
