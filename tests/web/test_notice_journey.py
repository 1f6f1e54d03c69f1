"""Told beside the page that is looked at: in real browsers, on the real stack."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.web.journeys import expect_status, open_as, sign_in, submit_sample
from tests.web.stack import Stack

pytestmark = pytest.mark.browser


def expect_live(page: Page) -> None:
    expect(page.locator("#live-state")).to_contain_text("Live")


def test_a_question_that_opens_is_told_on_another_page_and_counted(stack: Stack, browser: Browser) -> None:
    with (
        open_as(browser, stack, "otto", "/notices/") as otto,
        open_as(browser, stack, "vera", "/packs/") as vera,
    ):
        expect_live(otto)
        expect(otto.locator("#notice-count")).to_be_hidden()
        otto.goto("/tools/")
        expect_live(otto)
        expect_live(vera)
        with open_as(browser, stack, "ada", "/") as ada:
            job = submit_sample(ada, "Told elsewhere")
            expect_status(ada, "Waiting for people")
            toast = otto.locator(".toast").first
            expect(toast).to_contain_text("Contested: outlook / ")
            expect(toast).to_contain_text(f"Told elsewhere #{job}")
            expect(otto.locator("#notice-count")).to_be_visible()
            expect(ada.locator(".toast")).to_have_count(0)  # the page of that very job
        counted = otto.locator("#notice-count").inner_text()
        otto.reload()
        assert otto.locator("#notice-count").inner_text() == counted
        expect(otto.locator(".toast")).to_have_count(0)  # what is older than the page
        expect(vera.locator(".toast")).to_have_count(0)
        expect(vera.locator("#notice-count")).to_be_hidden()
        otto.get_by_role("link", name="Notices").click()
        expect(otto.locator(".notices li").first).to_contain_text(f"Told elsewhere #{job}")
        expect(otto.locator("#notice-count")).to_be_hidden()
        otto.goto("/")
        expect(otto.locator("#notice-count")).to_be_hidden()


def test_a_burst_is_summed_up_and_toasts_are_dismissed_by_hand(stack: Stack, browser: Browser) -> None:
    with open_as(browser, stack, "otto", "/packs/") as page:
        expect_live(page)
        for _ in range(3):
            stack.manage("submit", "growth", "--as", "otto")
        toasts = page.locator(".toast")
        expect(toasts.filter(has_text="questions opened in 3 jobs")).to_have_count(1, timeout=20_000)
        assert toasts.count() <= 3
        toasts.get_by_role("button", name="Dismiss").first.focus()
        page.keyboard.press("Escape")
        expect(toasts).to_have_count(0)


def test_the_list_grows_while_it_is_looked_at(stack: Stack, browser: Browser) -> None:
    with open_as(browser, stack, "otto", "/notices/") as page:
        expect_live(page)
        # No count: the page may be full before, and then each new row takes the place of the oldest.
        said = stack.manage("submit", "growth", "--as", "otto", "--json")
        job = re.search(r"/jobs/(\d+)/", said)
        assert job
        expect(page.locator(f".notices li a[href*='/jobs/{job.group(1)}/']").first).to_be_visible(
            timeout=15_000
        )
        expect(page.locator(".toast")).to_have_count(0)
        expect(page.locator("#notice-count")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_notices_and_toasts_are_for_everybody(stack: Stack, browser: Browser, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    with open_as(browser, stack, "ada", "/tools/") as page:
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        expect_live(page)
        stack.manage("submit", "growth", "--as", "otto")
        expect(page.locator(".toast")).not_to_have_count(0, timeout=15_000)
        page.locator(".toast button").first.focus()  # it stays while it is looked at
        found = [("toast", Axe().run(page).response["violations"])]
        page.set_viewport_size({"width": 380, "height": 800})
        full = "() => { const badge = document.getElementById('notice-count'); badge.hidden = false;"
        full += " badge.firstChild.data = '99+'; return document.documentElement.scrollWidth; }"
        assert page.evaluate(full) <= 380
        expect(page.get_by_role("button", name="Sign out")).to_be_visible()
        for path in ("/notices/", "/notices/?kind=expired"):
            page.goto(path)
            assert page.evaluate(full) <= 380, path
            found.append((path, Axe().run(page).response["violations"]))
    told = [
        (path, violation["id"], violation["nodes"][0]["html"][:200])
        for path, all_ in found
        for violation in all_
    ]
    assert told == []


def test_settings_are_kept_and_work_without_script(stack: Stack, browser: Browser) -> None:
    context = browser.new_context(base_url=stack.url, java_script_enabled=False)
    page = context.new_page()
    page.set_default_timeout(10_000)
    page.goto("/sign-in/?next=/notices/")
    sign_in(page, "ada")
    page.goto("/notices/")
    page.get_by_label("On the page, when it happens").uncheck()
    page.get_by_label("At most every").fill("45")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".notice.good")).to_contain_text("Saved")
    expect(page.get_by_label("On the page, when it happens")).not_to_be_checked()
    expect(page.get_by_label("At most every")).to_have_value("45")
    page.get_by_role("button", name="Mark all as seen").click()
    expect(page.locator("#notice-count")).to_be_hidden()
    page.get_by_label("On the page, when it happens").check()
    page.get_by_role("button", name="Save").click()
    context.close()
