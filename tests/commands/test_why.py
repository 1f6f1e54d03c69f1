"""`manage.py why`: the lineage as text."""

from __future__ import annotations

import pytest

from runtime.lineage import explain_slot, text_of
from tests.commands.said import call
from tests.runtime.fixtures import Use
from tests.runtime.lineage_packs import CASES, ladder_seeds
from tests.runtime.stage import run, submit

pytestmark = pytest.mark.django_db

PACKS = "tests.runtime.lineage_packs"


def test_slot_is_told_as_its_page_tells_it(use_packs: Use) -> None:
    use_packs(f"{PACKS}:court")
    job = run(submit("court", CASES))
    lineage = explain_slot(job, "verdict", "clear")
    assert lineage is not None
    said = call("why", str(job.pk), "verdict", "clear")
    assert (said.status, said.out) == (0, text_of(job, lineage))
    assert said.out.startswith('verdict / clear = "guilty", confidence 0.90\n')


def test_tier_is_told(use_packs: Use) -> None:
    use_packs(f"{PACKS}:court")
    job = run(submit("court", CASES))
    said = call("why", str(job.pk), "--tier", "1")
    assert (said.status, said.out.splitlines()[0]) == (0, "tier 1, Heard, is not reached")
    assert "verdict / close is contested" in said.out


def test_depth_and_moment_are_asked_for(use_packs: Use) -> None:
    use_packs(f"{PACKS}:ladder")
    job = run(submit("ladder", ladder_seeds(9)))
    assert "rung / 1 = 1" in call("why", str(job.pk), "rung", "9", "--depth", "12").out
    assert "rung / 1 = 1" not in call("why", str(job.pk), "rung", "9").out
    assert call("why", str(job.pk), "rung", "9", "--at", "3").status == 2


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["verdict", "nobody"], "nothing was ever said about verdict / nobody"),
        (["verdict"], "Name a slot, KEY SUBJECT, or a tier"),
        (["--tier", "7"], "has 2 tiers, and no tier 7"),
    ],
)
def test_what_is_not_there_is_said(use_packs: Use, arguments: list[str], error: str) -> None:
    use_packs(f"{PACKS}:court")
    job = run(submit("court", CASES))
    said = call("why", str(job.pk), *arguments)
    assert (said.status, said.out) == (2, "")
    assert error in said.err


def test_job_that_is_not_there_is_said() -> None:
    assert call("why", "987654", "a", "b").status == 2
