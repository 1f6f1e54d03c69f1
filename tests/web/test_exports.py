"""Answer, context and journal as files: whole, as they were, under a page's filters, harmless in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import orjson
import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db import connection, connections
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext

from converge_site.csv_rows import MARK, cell_of, write_rows
from runtime.bundle import write_bundle
from runtime.models import Answer, Cycle, Entry, Job
from runtime.store import answer_facts, standing
from tests.commands.said import call
from tests.runtime.fixtures import Use
from tests.web import cast
from tests.web.hostile import make_hostile_world


def body_of(response: Any) -> str:
    assert response.status_code == 200
    return b"".join(response.streaming_content).decode()


def rows_of(response: Any) -> list[dict[str, str]]:
    text = body_of(response)
    assert text.startswith(MARK)
    return list(csv.DictReader(io.StringIO(text.removeprefix(MARK), newline="")))


class TestCells:
    @pytest.mark.parametrize("begin", list("=+-@\t\r\n\0＝＋－＠"))
    def test_what_would_be_a_formula_is_text(self, begin: str) -> None:
        assert cell_of(f"{begin}cmd|' /C calc'!A0") == f"'{begin}cmd|' /C calc'!A0"
        assert cell_of(f"  {begin}1+1").startswith("'")

    @pytest.mark.parametrize(
        ("value", "cell"),
        [(-3.5, "-3.5"), (True, "true"), (None, ""), ("a=b", "a=b"), ("", ""), ({"b": [1]}, '{"b":[1]}')],
    )
    def test_all_else_is_as_it_is(self, value: Any, cell: str) -> None:
        assert cell_of(value) == cell

    def test_no_separator_of_any_country_begins_a_cell(self) -> None:
        text = "".join(write_rows(["a"], [['x";=1+1', "1;=2"], ["two\nlines"]]))
        assert text == f'{MARK}"a"\r\n"x"";=1+1","1;=2"\r\n"two\nlines"\r\n'


def test_answer_holds_every_fact(vera: Client, waiting_job: Job) -> None:
    answer = Answer.objects.get(job=waiting_job, version=1)
    response = vera.get(f"/jobs/{waiting_job.pk}/answers/1.csv")
    rows, facts = rows_of(response), answer_facts(waiting_job, answer)
    assert response["Content-Disposition"] == (
        f'attachment; filename="answer-{waiting_job.pk}-1-tier-{answer.tier}-of-3.csv"'
    )
    assert [(row["key"], row["subject"], float(row["confidence"])) for row in rows] == [
        (fact["key"], fact["subject"], fact["confidence"]) for fact in facts
    ]
    assert [orjson.loads(row["value"]) for row in rows if row["value"][0] in "[{"] == [
        fact["value"] for fact in facts if isinstance(fact["value"], list | dict)
    ]


def test_context_is_what_stands(vera: Client, waiting_job: Job) -> None:
    rows = rows_of(vera.get(f"/jobs/{waiting_job.pk}/context.csv"))
    slots = json.loads(body_of(vera.get(f"/jobs/{waiting_job.pk}/context.json")))
    assert slots["digest"] == waiting_job.digest and slots["cycle"] == waiting_job.cycle
    stands = standing(waiting_job)
    assert {(row["key"], row["subject"], row["status"]) for row in rows} == {
        (slot.key, slot.subject, slot.status) for slot in stands
    }
    assert len(rows) == len(slots["slots"]) == len(stands)
    assert {row["status"] for row in rows} >= {"fact", "contested"}
    one = rows_of(vera.get(f"/jobs/{waiting_job.pk}/context.csv?key=outlook"))
    assert {row["key"] for row in one} == {"outlook"}
    assert vera.get(f"/jobs/{waiting_job.pk}/context.csv?key=nothing").status_code == 404


def test_context_and_journal_are_as_they_were(vera: Client, waiting_job: Job) -> None:
    then = Cycle.objects.get(job=waiting_job, number=2)
    response = vera.get(f"/jobs/{waiting_job.pk}/context.json?cycle=2")
    assert response["Content-Disposition"].endswith('-cycle-2.json"')
    slots = json.loads(body_of(response))
    assert slots["digest"] == then.digest
    assert [(slot["key"], slot["subject"], slot["entry"]) for slot in sorted(
        slots["slots"], key=lambda slot: (slot["key"], slot["subject"])
    )] == [(row.key, row.subject, row.seq) for row in standing(waiting_job, then.last_seq)]  # fmt: skip
    entries = json.loads(body_of(vera.get(f"/jobs/{waiting_job.pk}/journal.json?cycle=2")))["entries"]
    assert entries[-1]["seq"] == then.last_seq == len(entries)
    for path in ("context.csv", "journal.csv", "journal.json"):
        assert vera.get(f"/jobs/{waiting_job.pk}/{path}?cycle=999").status_code in (404, 422)


def test_journal_is_what_the_command_prints(vera: Client, waiting_job: Job) -> None:
    text = body_of(vera.get(f"/jobs/{waiting_job.pk}/journal.json"))
    printed = [json.loads(line) for line in call("journal", str(waiting_job.pk)).out.splitlines()]
    assert json.loads(text)["entries"] == printed
    assert text.count("\n") == len(printed) + 2  # a line each: to be searched and compared
    rows = rows_of(vera.get(f"/jobs/{waiting_job.pk}/journal.csv"))
    assert [json.loads(row["body"])["kind"] for row in rows] == [entry["kind"] for entry in printed]
    assert all(row["committed"].endswith("+00:00") for row in rows)


def test_journal_is_filtered_as_its_page(vera: Client, waiting_job: Job) -> None:
    page = vera.get(f"/jobs/{waiting_job.pk}/journal/?key=outlook&kind=contested").content.decode()
    assert f'href="/jobs/{waiting_job.pk}/journal.csv?key=outlook&amp;kind=contested"' in page
    rows = rows_of(vera.get(f"/jobs/{waiting_job.pk}/journal.csv?key=outlook&kind=contested"))
    wanted = Entry.objects.filter(job=waiting_job, key="outlook", kind="contested").order_by("seq")
    assert [int(row["entry"]) for row in rows] == list(wanted.values_list("seq", flat=True)) != []


def test_nothing_of_a_job_is_a_formula(people: dict[str, User], use_packs: Use) -> None:
    use_packs("tests.web.hostile:bazaar")
    world = make_hostile_world(people)
    for path in ("context.csv", "journal.csv", "answers/1.csv"):
        rows = rows_of(world.browsers["vera"].get(f"/jobs/{world.job.pk}/{path}"))
        told = [
            cell
            for row in rows
            for name, cell in row.items()
            if name in ("subject", "item", "value", "reason")
        ]
        assert any(cell.startswith("'=HYPERLINK") for cell in told), path
        assert not any(cell.startswith(("=", "+", "@", "\t")) for cell in told), path


def test_long_journals_are_read_in_stretches(vera: Client, waiting_job: Job) -> None:
    last = Entry.objects.filter(job=waiting_job).order_by("-seq")[0]
    more = range(last.seq + 1, last.seq + 9_001)
    Entry.objects.bulk_create(
        Entry(job=waiting_job, seq=seq, cycle=last.cycle, kind="run", agent="a", body='{"kind":"run"}')
        for seq in more
    )
    Job.objects.filter(pk=waiting_job.pk).update(entries=more[-1])
    with CaptureQueriesContext(connection) as asked:
        response = vera.get(f"/jobs/{waiting_job.pk}/journal.csv")
        pieces = iter(response.streaming_content)
        first = next(pieces)
        assert len(asked) < 16 and len(first) < 1_000_000  # it begins before the end is read
        rest = b"".join(pieces)
    assert (first + rest).count(b'"run"') >= 9_000
    assert len(asked) < 30


@pytest.mark.django_db(transaction=True)
async def test_a_server_hands_it_on_as_it_is_read() -> None:
    """Under ASGI a plain generator would be read to its end first."""

    def prepare() -> tuple[User, int]:
        people = cast.make_people()
        return people["vera"], cast.growth_job(people["otto"]).pk

    vera, job = await sync_to_async(prepare)()
    client = AsyncClient()
    await sync_to_async(client.force_login)(vera)
    for path in ("journal.csv", "journal.json", "context.csv", "context.json"):
        response = await client.get(f"/jobs/{job}/{path}")
        assert response.is_async
        pieces = [piece async for piece in response.streaming_content]
        assert len(b"".join(pieces)) > 1000
    await sync_to_async(connections.close_all)()


def test_bundle_still_goes_by_the_same_way(vera: Client, waiting_job: Job) -> None:
    response = vera.get(f"/jobs/{waiting_job.pk}/bundle")
    assert (
        json.loads(body_of(response))["job"]["id"]
        == json.loads("".join(write_bundle(waiting_job)))["job"]["id"]
    )
