"""Submitting: which packs can be, by whom, and once for each form."""

from typing import Any

import pytest

from runtime.actions import Refused, submit_job
from runtime.models import Agent, GovernanceRule, Job, Pack
from tests.runtime.fixtures import Use
from tests.runtime.packs import ECHO_SEEDS, PANEL_SEEDS
from tests.runtime.stage import person

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def packs(use_packs: Use) -> None:
    use_packs("panel", "echo")


def submit(pack: str = "echo", seeds: Any = None, by: str = "otto", **more: Any) -> Job:
    return submit_job(person(by, "operator"), pack, seeds or ECHO_SEEDS, **more)


def refusal(**given: Any) -> Refused:
    before = Job.objects.count()
    with pytest.raises(Refused) as refused:
        submit(**given)
    assert Job.objects.count() == before
    return refused.value


def test_unknown_pack_is_refused_with_those_that_are_known() -> None:
    refused = refusal(pack="nonsense")
    assert (refused.code, refused.field) == ("gone", "pack")
    assert refused.message == "There is no pack 'nonsense'; known are: echo, panel."


def test_pack_that_is_switched_off_is_refused() -> None:
    Pack.objects.filter(name="echo").update(enabled=False)
    assert refusal().message == "The pack 'echo' is switched off; an admin can enable it."


def test_pack_that_an_admin_broke_is_refused_with_what_is_wrong() -> None:
    Agent.objects.filter(pack__name="echo").update(writes=["nowhere"])
    assert "The pack echo cannot run as it is configured: " in refusal().message
    assert "nowhere" in refusal().message


def test_rule_that_does_not_compile_is_refused() -> None:
    pack = Pack.objects.get(name="echo")
    GovernanceRule.objects.create(pack=pack, name="odd", kind="constraint", keys=["echo"], expression="1 +")
    assert "odd" in refusal().message


@pytest.mark.parametrize(
    ("title", "said"),
    [
        ("x" * 201, "The title has 201 characters; the limit is 200."),
        ("a\x00b", "The title holds a NUL character; remove it."),
        ("a\ud800", "The title holds a lone surrogate, which is no Unicode text."),
    ],
)
def test_title_out_of_bounds_is_refused(title: str, said: str) -> None:
    assert refusal(title=title).message == said


def test_form_sent_twice_is_one_job() -> None:
    first = submit(submit_key="form-1")
    assert submit(submit_key="form-1").pk == first.pk
    assert Job.objects.count() == 1


def test_form_of_somebody_else_is_refused() -> None:
    submit(submit_key="form-1")
    assert refusal(submit_key="form-1", by="ida").code == "stale"


def test_viewer_and_stranger_cannot_submit() -> None:
    for user in (person("vera", "viewer"), person("nobody", "")):
        with pytest.raises(Refused) as refused:
            submit_job(user, "echo", ECHO_SEEDS)
        assert refused.value.code == "forbidden"
    assert not Job.objects.exists()


def test_job_runs_under_the_pack_as_it_was_when_it_was_submitted() -> None:
    job = submit("panel", PANEL_SEEDS)
    GovernanceRule.objects.filter(pack__name="panel").update(state="retired")
    names = [rule["name"] for rule in job.frozen_spec()["rules"]]
    assert names == ["people decide", "two others sign"]
    assert job.frozen_spec()["submitter"] == "otto"
    assert submit("panel", PANEL_SEEDS).frozen_spec()["rules"] == []
