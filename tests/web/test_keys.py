"""The keyboard: it walks, opens, searches and decides; never while somebody types; and stays while rows stream in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Page, expect

from converge_site.live.frames import frame
from converge_site.live.pages import render_page
from runtime.actions import submit_job
from runtime.models import Conflict, Decision, Job
from tests.runtime.fixtures import Use
from tests.web import cast
from tests.web.played import ORIGIN, Played, played
from tests.web.tools import make_tool

pytestmark = [pytest.mark.browser, pytest.mark.early]

AT = "() => document.activeElement.closest('[id]:is(tr, article, .entry, li)')?.id || document.activeElement.id"


@pytest.fixture
def jobs(people: dict[str, User], use_packs: Use) -> list[Job]:
    """Three jobs of Otto's that wait for people, each with two questions."""
    use_packs("panel", "echo")
    for tool in ("oracle", "search"):
        make_tool(tool)
    seeds = [{"key": "case", "subject": name, "value": {"doubtful": True}} for name in ("north", "south")]
    return [
        cast.run_on(submit_job(people["otto"], "panel", seeds, title))
        for title in ("Spring", "Summer", "Autumn")
    ]


@pytest.fixture
def window(jobs: list[Job], otto: Client) -> Iterator[Played]:
    with played(otto, viewport={"width": 1280, "height": 900}) as opened:
        yield opened
        assert opened.wrongs() == []


def at(page: Page) -> str:
    return str(page.evaluate(AT))


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def test_j_and_k_walk_and_o_opens(window: Played, jobs: list[Job]) -> None:
    page = window.page
    page.goto("/")
    ids = page.eval_on_selector_all("#job-list tbody tr", "(rows) => rows.map((row) => row.id)")
    assert len(ids) == 3
    press(page, "j")
    assert at(page) == ids[0]
    press(page, "j", "j", "j", "j")
    assert at(page) == ids[2]  # the end is the end
    press(page, "k")
    assert at(page) == ids[1]
    row = page.locator(f"#{ids[1]}")
    assert row.evaluate("(row) => getComputedStyle(row).outlineStyle") == "solid"
    assert (
        page.evaluate("() => document.activeElement.localName") == "a"
    )  # a link: read out as one, Enter opens it
    press(page, "o")
    page.wait_for_url(f"{ORIGIN}/jobs/{ids[1].removeprefix('job-')}/")


def test_enter_opens_too(window: Played, jobs: list[Job]) -> None:
    window.page.goto("/inbox/")
    first = window.page.locator("#inbox-list .conflict").first.get_attribute("id")
    press(window.page, "j", "Enter")
    window.page.wait_for_url(f"{ORIGIN}/conflicts/{str(first).removeprefix('conflict-')}/")


def test_other_lists_are_walked_as_well(window: Played) -> None:
    page = window.page
    for path in ("/notices/", "/rules/", "/tools/", "/packs/"):
        page.goto(path)
        press(page, "j")
        first = page.evaluate("() => document.activeElement.href")
        press(page, "j")
        second = page.evaluate("() => document.activeElement.href")
        assert first and second and first != second, path
        press(page, "k")
        assert page.evaluate("() => document.activeElement.href") == first, path


def test_g_and_a_letter_go_there(window: Played) -> None:
    places = {
        "i": "inbox/",
        "t": "tools/",
        "w": "runtimes/",
        "p": "packs/",
        "r": "rules/",
        "n": "notices/",
        "j": "",
    }
    for start in ("/", "/keys/"):  # the page without the sheet has the same links
        for letter, place in places.items():
            window.page.goto(start)
            with window.page.expect_navigation(url=f"{ORIGIN}/{place}"):
                press(window.page, "g", letter)


def test_sheet_is_opened_closed_and_named(window: Played) -> None:
    page = window.page
    page.goto("/")
    press(page, "?")
    sheet = page.get_by_role("dialog", name="Keys")
    expect(sheet).to_be_visible()
    press(page, "j")  # what is below does not move
    assert not at(page).startswith("job-")
    press(page, "Escape")
    expect(sheet).to_be_hidden()
    page.get_by_role("link", name="Keys").click()
    expect(sheet).to_be_visible()
    press(page, "?")
    expect(sheet).to_be_hidden()
    press(page, "?", "g", "i")
    expect(sheet).to_be_visible()
    assert page.url == f"{ORIGIN}/"


def test_without_script_the_keys_are_a_page(otto: Client, db: Any) -> None:
    html = otto.get("/").content.decode()
    assert '<a id="keys-link" class="bell" href="/keys/"' in html
    page = otto.get("/keys/").content.decode()
    assert "<dialog" not in page and "<kbd>j</kbd> <kbd>k</kbd>" in page and page.count('id="keys-h"') == 1


def test_slash_goes_to_the_search(window: Played) -> None:
    page = window.page
    page.goto("/?q=Spring")
    press(page, "/")
    assert page.evaluate("() => document.activeElement.name") == "q"
    page.keyboard.type("j/?1")  # it takes the place of what was searched, and nothing else happens
    assert page.locator("#f-q").input_value() == "j/?1"
    expect(page.locator("#keys")).to_be_hidden()
    page.goto("/packs/")
    press(page, "/")  # no search, no effect
    assert page.evaluate("() => document.activeElement === document.body")


def test_nothing_happens_while_typing_or_with_other_modifiers(window: Played, jobs: list[Job]) -> None:
    page = window.page
    conflict = Conflict.objects.filter(job=jobs[0], kind="conflict", status="open")[0]
    page.goto(f"/conflicts/{conflict.pk}/")
    reason = page.get_by_label("Reason")
    reason.fill("")
    reason.press_sequentially("1 j ? g i /")
    assert reason.input_value() == "1 j ? g i /"
    assert page.locator(".choice input:checked").count() == 0
    page.goto("/")
    for combination in ("Control+j", "Alt+j", "Meta+j", "Control+/", "Control+1", "Shift+J"):
        press(page, combination)
        assert page.url == f"{ORIGIN}/" and not at(page).startswith("job-"), combination
    assert page.evaluate(
        """() => !["k", "/", "1"].some((key) => {
            const event = new KeyboardEvent("keydown", { key, ctrlKey: true, bubbles: true, cancelable: true });
            return !document.body.dispatchEvent(event);
        })"""
    )


def test_number_chooses_and_mod_enter_sends(window: Played, jobs: list[Job]) -> None:
    page = window.page
    conflict = Conflict.objects.filter(job=jobs[0], kind="conflict", status="open")[0]
    page.goto(f"/conflicts/{conflict.pk}/")
    press(page, "2")
    assert page.locator(".choice").nth(1).locator("input").is_checked()
    press(page, "1")
    assert page.locator(".choice").nth(0).locator("input").is_checked()
    assert not Decision.objects.filter(conflict=conflict).exists()
    page.get_by_label("Reason").fill("typed")
    press(page, "Control+Enter")
    expect(page.locator(".decide")).to_contain_text("sent:")
    press(page, "Control+Enter")  # nothing is sent twice
    decision = Decision.objects.get(conflict=conflict)
    assert decision.reason == "typed" and decision.payload["value"] == conflict.sides[0]["value"]


def test_in_the_inbox_a_number_is_for_the_question_one_stands_at(window: Played) -> None:
    page = window.page
    page.goto("/inbox/")
    press(page, "1")
    assert page.locator(".choice input:checked").count() == 0
    press(page, "j", "j", "1")
    cards = page.locator("#inbox-list .conflict")
    assert cards.nth(1).locator(".choice input:checked").count() == 1
    assert page.locator(".choice input:checked").count() == 1
    press(page, "j")  # on from the question, not from its field
    assert at(page) == cards.nth(2).get_attribute("id")


def test_focus_stays_on_its_row_while_rows_stream_in(
    window: Played, jobs: list[Job], people: dict[str, User]
) -> None:
    page = window.page
    window.open("/?status=waiting")
    press(page, "j", "j")
    held = at(page)
    # Another row changes and moves to the top, this one changes where it is, and the first goes.
    ids = page.eval_on_selector_all("#job-list tbody tr", "(rows) => rows.map((row) => row.id)")
    Job.objects.filter(pk=int(ids[0].removeprefix("job-"))).update(title="gone elsewhere", status="cancelled")
    Job.objects.filter(pk=int(held.removeprefix("job-"))).update(title="another name", facts=999)
    window.push(frame(render_page("jobs", "status=waiting")))
    expect(page.locator(f"#{held}")).to_contain_text("another name")
    assert at(page) == held
    moved = render_page("jobs", "status=waiting").replace("<tbody", "<tbody data-x", 1)
    rows = moved.split("<tr id=")
    window.push(frame("<tr id=".join([rows[0], rows[1], *reversed(rows[2:])])))
    assert at(page) == held


def test_focus_goes_on_when_its_row_is_gone(window: Played) -> None:
    page = window.page
    window.open("/inbox/")
    press(page, "j", "j")
    gone = at(page)
    third = str(page.locator("#inbox-list .conflict").nth(2).get_attribute("id"))
    Conflict.objects.filter(pk=int(gone.removeprefix("conflict-"))).update(status="closed")
    window.push(frame(render_page("inbox", "")))
    expect(page.locator(f"#{gone}")).to_have_count(0)
    assert at(page) == third


def test_a_journal_that_is_walked_waits(window: Played, jobs: list[Job]) -> None:
    page = window.page
    window.open(f"/jobs/{jobs[0].pk}/journal/")
    press(page, "j", "j")
    held = at(page)
    assert held.startswith("e")
    last = jobs[0].entries
    row = (
        page.locator(".entry")
        .last.evaluate("(row) => row.outerHTML")
        .replace(f'id="e{last}"', f'id="e{last + 1}"')
    )
    row = row.replace(f'data-seq="{last}"', f'data-seq="{last + 1}"')
    text = json.dumps({"after": last, "to": last + 1, "html": f'<div data-rows="journal-rows">{row}</div>'})
    window.push(text)
    expect(page.locator(f"#e{last + 1}")).to_be_attached()
    assert at(page) == held


def test_single_keys_can_be_switched_off(window: Played, jobs: list[Job]) -> None:
    """For those whose tools speak letters: dictation, switches, screen readers."""
    page = window.page
    page.goto("/keys/")
    page.get_by_label("Single keys do something").uncheck()
    page.goto("/")
    press(page, "j", "?")
    assert not at(page).startswith("job-")
    expect(page.locator("#keys")).to_be_hidden()
    page.goto("/keys/")
    page.get_by_label("Single keys do something").check()
    page.goto("/")
    press(page, "j")
    assert at(page).startswith("job-")


def test_a_place_within_the_page_is_no_other_page(window: Played, jobs: list[Job]) -> None:
    page = window.page
    page.goto(f"/jobs/{jobs[0].pk}/")
    page.evaluate("() => { window.neverReloaded = true; }")
    press(page, "Tab", "Enter")  # Skip to content
    page.wait_for_url("**#main")
    page.go_back()
    page.wait_for_url(f"{ORIGIN}/jobs/{jobs[0].pk}/")
    page.wait_for_load_state("networkidle")
    assert page.evaluate("() => window.neverReloaded") is True
