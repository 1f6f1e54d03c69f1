"""Time travel and the journal's filters in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.waiting import eventually
from tests.web.journeys import PANELS, answer_first, expect_status, open_as, same_rows, submit_sample
from tests.web.stack import Stack

pytestmark = pytest.mark.browser

SLIDER = "#moment-slider"
OVERFLOWS = "() => document.documentElement.scrollWidth > window.innerWidth"


def waiting_job(page: Page, title: str) -> tuple[int, int]:
    """A job that waits for people, and its newest cycle."""
    job = submit_sample(page, title)
    expect_status(page, "Waiting for people")
    page.reload()
    return job, int(page.locator(SLIDER).get_attribute("max") or 0)


def expect_moment(page: Page, job: int, cycle: int) -> None:
    expect(page.locator("#moment-said")).to_contain_text(f"The past: cycle {cycle} of")
    expect(page.locator("#panel-header .meta")).to_contain_text(f"cycle {cycle}")
    expect(page).to_have_url(re.compile(rf"/jobs/{job}/\?(.*&)?cycle={cycle}$"))


def test_the_slider_goes_through_the_cycles(browser: Browser, stack: Stack) -> None:
    with open_as(browser, stack, "otto") as page:
        job, head = waiting_job(page, "Looked back at")
        expect(page.locator("#moment-go")).to_be_hidden()
        page.locator(SLIDER).focus()
        page.keyboard.press("ArrowLeft")
        expect_moment(page, job, head - 1)
        expect(page.locator(SLIDER)).to_be_focused()
        # From here on the panels alone are fetched: the page stays.
        page.evaluate("window.stayed = true")
        page.keyboard.press("ArrowLeft")
        expect_moment(page, job, head - 2)
        expect(page.locator("#journal-rows .entry .at").last).to_contain_text(f"c{head - 2} ")
        page.locator("#moment-next").click()
        expect_moment(page, job, head - 1)
        expect(page.locator("#moment-next")).to_be_focused()
        box = page.locator(SLIDER).bounding_box()
        assert box
        page.mouse.move(box["x"] + box["width"] - 4, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] + 3, box["y"] + box["height"] / 2, steps=12)
        page.mouse.up()
        expect_moment(page, job, 1)
        expect(page.locator("#moment-previous")).to_have_count(0)
        assert page.evaluate("window.stayed") is True
        dragged = page.evaluate(PANELS)
        page.reload()
        assert same_rows(page.evaluate(PANELS), dragged)
        page.go_back()
        expect_moment(page, job, head - 1)
        page.get_by_role("link", name="Back to live").click()
        expect(page).to_have_url(re.compile(rf"/jobs/{job}/$"))
        expect(page.locator("#live-state")).to_contain_text("Live")
        page.locator(".chart-bar .hit").nth(1).click()
        expect_moment(page, job, 2)


def test_the_past_stays_while_the_job_goes_on(browser: Browser, stack: Stack) -> None:
    with open_as(browser, stack, "otto") as page, open_as(browser, stack, "vera") as other:
        job, head = waiting_job(page, "Goes on meanwhile")
        other.goto(f"/jobs/{job}/?cycle={head - 1}")
        expect(other.locator("#live-state")).to_contain_text("Live")
        expect(other.locator("#moment-now")).to_contain_text(f"cycle {head}")
        before = [part for part in other.evaluate(PANELS) if part[0] != "panel-moment"]
        answer_first(page, "saturated", "so I think")
        # The present is told, and so are the questions that wait; nothing else moves.
        expect(other.locator("#moment-now")).not_to_contain_text(f"cycle {head} ", timeout=20_000)
        assert eventually(
            lambda: int((other.locator("#moment-now a").text_content() or "").split()[-1]) > head, 20
        )
        assert [part for part in other.evaluate(PANELS) if part[0] != "panel-moment"] == before


def test_filters_hold_while_entries_stream(browser: Browser, stack: Stack) -> None:
    with open_as(browser, stack, "otto") as page, open_as(browser, stack, "vera") as other:
        job, _ = waiting_job(page, "Filtered")
        other.goto(f"/jobs/{job}/")
        other.get_by_label("Outcome").select_option("closed")
        expect(other).to_have_url(re.compile(r"outcome=closed"))
        expect(other.locator("#live-state")).to_contain_text("Live")
        shown = other.locator("#journal-rows .entry")
        already = shown.count()
        for _ in range(2):
            answer_first(page, "promising", "so I think")
            page.wait_for_timeout(500)
        assert eventually(lambda: shown.count() > already, 20)
        assert {row.get_attribute("data-outcome") for row in shown.all()} == {"closed"}
        streamed = [row.get_attribute("data-seq") for row in shown.all()]
        expect_status(other, "Waiting for people")
        other.reload()
        loaded = [row.get_attribute("data-seq") for row in shown.all()]
        assert loaded[: len(streamed)] == streamed or streamed[-len(loaded) :] == loaded


def test_without_scripts_the_slider_is_a_form(browser: Browser, stack: Stack) -> None:
    with open_as(browser, stack, "otto") as page:
        job, head = waiting_job(page, "Without scripts")
    context = browser.new_context(
        base_url=stack.url, java_script_enabled=False, storage_state=stack.sessions["otto"]
    )
    try:
        plain = context.new_page()
        plain.goto(f"/jobs/{job}/?kind=run")
        plain.locator(SLIDER).focus()
        plain.keyboard.press("Home")
        plain.get_by_role("button", name="Show").click()
        expect(plain).to_have_url(re.compile(rf"/jobs/{job}/\?cycle=1&kind=run$"))
        expect(plain.locator("#moment-said")).to_contain_text(f"The past: cycle 1 of {head}")
        plain.locator("#moment-next").click()
        expect(plain).to_have_url(re.compile(r"\?kind=run&cycle=2$"))
        plain.get_by_role("link", name="Back to live").click()
        expect(plain).to_have_url(re.compile(rf"/jobs/{job}/\?kind=run$"))
    finally:
        context.close()
