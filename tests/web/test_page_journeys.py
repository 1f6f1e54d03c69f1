"""Pages without script, on a phone, for everybody: looked at in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.waiting import eventually
from tests.web.journeys import (
    CONTESTED,
    PATIENCE,
    SEQS,
    answer_first,
    expect_status,
    open_as,
    sign_in,
    submit_sample,
)
from tests.web.stack import Stack

pytestmark = pytest.mark.browser


def test_pages_work_without_script(stack: Stack, browser: Browser) -> None:
    context = browser.new_context(base_url=stack.url, java_script_enabled=False)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto("/sign-in/")
    sign_in(page, "otto")
    page.goto("/jobs/new?pack=growth")
    rows = page.locator("[name=k1-row]").count()
    page.get_by_role("button", name="Add").nth(1).click()
    expect(page.locator("[name=k1-row]")).to_have_count(rows + 1)
    page.get_by_role("button", name="Start the job").click()
    page.wait_for_url(re.compile(r"/jobs/\d+/$"))

    def is_waiting() -> bool:
        page.reload()
        return "Waiting for people" in page.locator("#panel-header").inner_text()

    assert eventually(is_waiting)
    answer_first(page, "promising", "by hand")
    expect(page.locator(".notice.good")).to_contain_text("applied at the start")
    context.close()


def test_older_entries_load_on_demand_and_filters_hold(stack: Stack, browser: Browser) -> None:
    with open_as(browser, stack, "otto") as page:
        job = submit_sample(page, "Long journal")
        expect_status(page, "Waiting for people")
        page.goto(f"/jobs/{job}/")
        head = stack.head_of(job)
        assert page.evaluate(SEQS) == list(range(head - 99, head + 1))
        page.get_by_role("link", name="Load older entries").click()
        expect(page.locator("#e1")).to_be_attached()
        assert page.evaluate(SEQS) == list(range(1, head + 1))

        page.goto(f"/jobs/{job}/?kind=inbox")
        expect(page.locator("#journal-empty")).to_be_visible()
        expect(page.locator("#live-state")).to_contain_text("Live")
        answer_first(page, "promising", "only this is shown")
        expect(page.locator("#journal-rows .entry")).to_have_count(1)
        expect(page.locator("#journal-rows .entry")).to_contain_text("only this is shown")


@pytest.mark.parametrize("count", ["164", "2164"])
def test_the_navigation_of_an_admin_fits_a_phone_with_a_full_inbox(
    stack: Stack, browser: Browser, count: str
) -> None:
    with open_as(browser, stack, "ada") as page:
        page.set_viewport_size({"width": 380, "height": 800})
        page.goto("/packs/")
        # In one go: a push may tell the true number at any moment.
        fill = "(count) => { const badge = document.getElementById('inbox-badge'); badge.hidden = false;"
        fill += " badge.firstChild.data = count; return document.documentElement.scrollWidth; }"
        assert page.evaluate(fill, count) <= 380
        expect(page.get_by_role("navigation", name="Main").get_by_role("link", name="Admin")).to_be_visible()
        expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def test_a_slot_moves_by_itself_while_people_act_in_it(stack: Stack, browser: Browser) -> None:
    with open_as(browser, stack, "otto") as page:
        job = submit_sample(page, "One slot")
        expect_status(page, "Waiting for people")
        page.goto(f"/jobs/{job}/{CONTESTED}")
        page.evaluate("() => { window.neverReloaded = true; }")
        expect(page.locator("#live-state")).to_contain_text("Live")
        page.locator("#say-value").fill("fading")
        answer_first(page, "saturated", "decided from the slot")
        expect(page.locator("#slot-view .panel-head .status").first).to_contain_text("stands")
        expect(page.locator("#sent-by-people")).to_contain_text("applied in cycle")
        expect(page.get_by_role("heading", name="Undo the operator's decision")).to_be_visible()
        expect(page.locator("#say-value")).to_have_value("fading")
        assert page.evaluate("() => window.neverReloaded") is True

        page.get_by_role("button", name="Say it").click()
        expect(page.locator(".notice.good")).to_contain_text("applied at the start")
        expect(page.get_by_role("button", name="Withdraw what I said")).to_be_visible()
        page.locator(".choice", has_text="Nothing stands").click()
        page.get_by_role("button", name="Decide", exact=True).click()
        expect(page.locator("#slot-view .panel-head .status").first).to_contain_text("nothing stands")
