"""A preview in a real browser: shown in place, kept apart from deciding, readable by everybody."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.web.accessible import violations_of
from tests.web.journeys import CONTESTED, OPEN_FORMS, expect_status, expect_to_fit, open_as, submit_sample
from tests.web.stack import Stack

pytestmark = pytest.mark.browser


def test_otto_looks_ahead_and_then_decides(stack: Stack, browser: Browser) -> None:
    with open_as(browser, stack, "otto") as page:
        job = submit_sample(page, "Looking ahead")
        expect_status(page, "Waiting for people")
        page.goto(f"/jobs/{job}/{CONTESTED}")
        page.goto("/inbox/")
        page.locator(f'.conflict:has-text("#{job}") h3 a').first.click()
        page.wait_for_url(re.compile(r"/conflicts/\d+/$"))
        asks = page.get_by_role("group", name="Preview what would come of it")

        asks.get_by_role("button", name="Keep 1").click()
        expect(page.locator(".preview")).to_contain_text("If you keep")
        assert re.search(r"/conflicts/\d+/$", page.url), "it was shown in place"
        page.get_by_label("Reason").fill("I looked ahead")
        asks.get_by_role("button", name="Reject all").click()
        expect(page.locator(".preview")).to_contain_text("If you reject all")
        expect(page.locator(".preview")).to_have_count(1)
        expect(page.get_by_label("Reason")).to_have_value("I looked ahead")

        page.get_by_label("Another value, as JSON or text").fill("splendid")
        asks.get_by_role("button", name="Another value").click()
        expect(page.get_by_role("alert")).to_contain_text("does not fit outlook")
        expect(page.get_by_label("Another value, as JSON or text")).to_have_value("splendid")
        expect(page.get_by_label("Reason")).to_have_value("I looked ahead")
        page.get_by_label("Another value, as JSON or text").fill("steady")
        page.get_by_label("Reason").press("Enter")
        expect(page.locator(".decide")).to_contain_text("keep steady")


def test_a_preview_is_accessible_and_fits_a_phone(stack: Stack, browser: Browser) -> None:
    with open_as(browser, stack, "otto") as page:
        job = submit_sample(page, "Looking ahead on a phone")
        expect_status(page, "Waiting for people")
        answer_all_but_one(page)
        page.goto(f"/jobs/{job}/")
        open_form = page.locator("form[id^='decide-form-']")  # what was just answered has none
        left = page.locator(".conflict", has=open_form)
        left.locator("h3 a").first.click()
        page.get_by_role("button", name="Preview: Keep 1").click()
        expect(page.locator(".preview")).to_contain_text("Not known:")
        assert violations_of(page) == []
        expect_to_fit(page, 380)


def answer_all_but_one(page: Page) -> None:
    form = page.locator(OPEN_FORMS).first
    form.locator(".choice").first.click()
    form.locator("button.primary").click()
    expect(page.locator(OPEN_FORMS)).to_have_count(1)
    expect_status(page, "Waiting for people")
