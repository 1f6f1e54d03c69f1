"""`manage.py journal`: the entries as JSON lines."""

import json

import pytest

from runtime.models import Entry, Tool
from runtime.tools.flaky import FlakyTools
from tests.commands.said import call
from tests.runtime.fixtures import Use
from tests.runtime.packs import ASKER_SEEDS, WALK_SEEDS
from tests.runtime.stage import run, submit

pytestmark = pytest.mark.django_db


def test_every_entry_is_a_line_with_its_number_cycle_and_body(use_packs: Use) -> None:
    use_packs("walk")
    job = run(submit("walk", WALK_SEEDS))
    lines = [json.loads(line) for line in call("journal", str(job.pk)).out.splitlines()]
    entries = Entry.objects.filter(job=job).order_by("seq")
    assert lines == [{"seq": entry.seq, "cycle": entry.cycle, **entry.data} for entry in entries]
    assert [line["seq"] for line in lines] == list(range(1, job.entries + 1))
    assert list(lines[0])[:2] == ["seq", "cycle"]


def test_after_leaves_out_what_was_read_before(use_packs: Use) -> None:
    use_packs("walk")
    job = run(submit("walk", WALK_SEEDS))
    rest = call("journal", str(job.pk), "--after", str(job.entries - 2)).out.splitlines()
    assert [json.loads(line)["seq"] for line in rest] == [job.entries - 1, job.entries]
    assert call("journal", str(job.pk), "--after", str(job.entries)).out == ""


def test_calls_of_tools_are_listed_with_their_attempts(use_packs: Use, flaky_tools: FlakyTools) -> None:
    use_packs("asker")
    Tool.objects.filter(name="oracle").update(url=f"{flaky_tools.url}/search")
    job = run(submit("asker", ASKER_SEEDS))
    told = [json.loads(line) for line in call("journal", str(job.pk), "--calls").out.splitlines()]
    asked = [(c["agent"], c["item"], c["tool"], c["status"]) for c in told]
    assert ("ask", "big", "oracle", "done") in asked
    assert ("explain", "old", "glossary", "failed") in asked
    assert sum(c["attempts"] for c in told) == job.calls == 4
    assert {c["cls"] for c in told} == {"", "unreachable"}


@pytest.mark.parametrize("name", ["987654", "yesterday", "-1", "٣"])
def test_job_that_is_not_there_is_said(name: str) -> None:
    said = call("journal", "--", name)
    assert (said.status, said.out) == (2, "")
    assert said.err == f"There is no job {name!r}; give its number.\n"
