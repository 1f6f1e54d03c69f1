"""The Jobs page and the Runtimes page in a real browser: rows that arrive by themselves, views, many jobs at once."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.web.journeys import open_as
from tests.web.stack import Stack

pytestmark = pytest.mark.browser

# Without what may differ between a push and a reload: times, and what a person ticked.
LIST = """() => ["job-list", "saved-views"].map((id) => {
    const copy = document.getElementById(id).cloneNode(true);
    for (const time of copy.querySelectorAll("time")) time.remove();
    for (const element of copy.querySelectorAll("[class='']")) element.removeAttribute("class");
    return copy.innerHTML.replace(/>\\s+/g, ">").replace(/\\s+</g, "<").replace(/\\s+/g, " ");
})"""

SUBMIT = """
from django.contrib.auth.models import User
from runtime.actions import submit_job
from tests.web.cast import sample_seeds
otto = User.objects.get(username="otto")
for n in range(%d): submit_job(otto, "growth", sample_seeds(), f"%s {n}")
"""


def submit(stack: Stack, number: int, title: str) -> None:
    stack.manage("shell", "-c", SUBMIT % (number, title))


def rows(page: Page) -> list[str]:
    return page.locator(".jobs .title").all_inner_texts()


def expect_live(page: Page) -> None:
    expect(page.locator("#live-state")).to_contain_text("Live", timeout=15_000)


def test_rows_arrive_a_view_is_shared_and_many_jobs_are_cancelled(stack: Stack, browser: Browser) -> None:
    with (
        open_as(browser, stack, "otto", "/") as otto,
        open_as(browser, stack, "vera", "/") as vera,
    ):
        submit(stack, 1, "Herring")
        otto.goto("/?q=Herring")
        expect(otto.locator(".jobs tbody tr")).to_have_count(1)
        expect_live(otto)
        otto.evaluate("() => { window.neverReloaded = true; }")
        first = otto.get_by_role("checkbox", name=re.compile("^Tick job"))
        first.check()
        expect(otto.locator(".bulk .ticked")).to_have_text("1 ticked")
        submit(stack, 2, "Herring again")
        expect(otto.locator(".jobs tbody tr")).to_have_count(3, timeout=20_000)
        expect(otto.locator(".jobs .status", has_text="Waiting for people")).to_have_count(3, timeout=30_000)
        assert otto.evaluate("() => window.neverReloaded") is True
        # The row that was ticked is another's neighbour by now, and still ticked.
        ticked = otto.locator(".jobs tr", has=otto.locator("input:checked"))
        expect(ticked).to_have_count(1)
        expect(ticked.locator(".title")).to_have_text("Herring 0")
        pushed = otto.evaluate(LIST)
        otto.reload()
        assert otto.evaluate(LIST) == pushed

        vera.goto("/")
        expect_live(vera)
        expect(vera.locator("#bulk")).to_have_count(0)
        expect(vera.locator(".jobs .c-tick").first).to_be_hidden()
        otto.locator("summary", has_text="Save this view").click()
        otto.get_by_label("Name").fill("Herrings")
        otto.get_by_role("button", name="Save for all").click()
        expect(otto.locator(".notice.good")).to_contain_text("Saved for all as “Herrings”")
        shared = vera.get_by_role("navigation", name="Saved views").get_by_role("link", name="Herrings")
        expect(shared).to_be_visible(timeout=15_000)  # by a push
        shared.click()
        assert sorted(rows(vera)) == ["Herring 0", "Herring again 0", "Herring again 1"]
        expect_live(vera)

        otto.get_by_label("this page").check()
        expect(otto.locator(".bulk .ticked")).to_have_text("3 ticked")
        otto.locator("#bulk").get_by_role("button", name="Cancel…").click()
        expect(otto.get_by_role("heading", level=1)).to_have_text("Cancel: 3 jobs?")
        otto.get_by_label("Reason").fill("a red one")
        otto.get_by_role("button", name="Cancel 3 jobs").dblclick()
        expect(otto.get_by_role("heading", level=1)).to_have_text("Told to stop: 3 jobs")
        expect(vera.locator(".jobs .status", has_text="Cancelled")).to_have_count(3, timeout=20_000)
        otto.get_by_role("link", name="To the jobs").click()
        assert otto.url.endswith("/?q=Herring")

        otto.get_by_role("link", name="Manage views").click()
        otto.get_by_role("row", name=re.compile("Herrings")).get_by_role("button").click()
        expect(otto.locator(".notice.good")).to_contain_text("“Herrings” is deleted")


def test_runtimes_and_tools_move_by_themselves(stack: Stack, browser: Browser) -> None:
    with open_as(browser, stack, "vera", "/runtimes/") as page:
        expect_live(page)
        page.evaluate("() => { window.neverReloaded = true; }")
        worker = page.locator(".workers-table tbody tr")
        expect(worker).to_have_count(1)
        expect(worker).to_contain_text("Listens")
        expect(page.locator("#runtimes")).to_contain_text("on time")
        beat = worker.locator("time").last
        before = beat.get_attribute("datetime")
        done = worker.locator("td").last.inner_text()
        submit(stack, 1, "Watched")
        expect(worker.locator("td").last).not_to_have_text(done, timeout=20_000)
        expect(beat).not_to_have_attribute("datetime", before or "", timeout=20_000)
        assert page.evaluate("() => window.neverReloaded") is True

        page.goto("/tools/")
        expect_live(page)
        page.evaluate("() => { window.neverReloaded = true; }")
        calls = page.locator("#tool-search td[data-label=Calls]")
        before = calls.inner_text()
        submit(stack, 1, "Calls a tool")
        expect(calls).not_to_have_text(before, timeout=30_000)
        assert page.evaluate("() => window.neverReloaded") is True


def test_many_jobs_are_retried_without_script(stack: Stack, browser: Browser) -> None:
    from tests.web.journeys import sign_in

    context = browser.new_context(base_url=stack.url, java_script_enabled=False)
    page = context.new_page()
    page.set_default_timeout(10_000)
    page.goto("/sign-in/")
    sign_in(page, "otto")
    page.locator("#bulk").get_by_role("button", name="Try again…").click()
    expect(page.get_by_role("heading", level=2).first).to_have_text("There is nothing to do")
    page.get_by_role("link", name="Back to the jobs").click()
    page.get_by_label("all that match").check()
    page.locator("#bulk").get_by_role("button", name="Cancel…").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Cancel:")
    page.get_by_role("link", name="Back, and do nothing").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Jobs")
    context.close()
