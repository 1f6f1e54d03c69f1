"""Journeys through bad weather: the real stack, a real worker, the simulator of flaky tools, Chromium."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.waiting import eventually
from tests.web.journeys import (
    PANELS,
    PATIENCE,
    expect_gapless,
    expect_status,
    expect_to_fit,
    open_as,
    same_rows,
    sign_in,
)
from tests.web.stack import Stack

pytestmark = pytest.mark.browser


@pytest.fixture(autouse=True)
def _mended(stack: Stack) -> Iterator[None]:
    """However a journey ends, the next one finds the search well."""
    yield
    stack.manage("flaky_tools", "search=ok")
    stack.manage("shell", "-c", "from runtime.tools.gate import shared_gate; shared_gate().reset('search')")


def submit_shop(page: Page, title: str) -> int:
    """The corner shop, which converges without any help; the number of the job."""
    page.goto("/jobs/new?pack=growth&sample=corner-shop")
    page.get_by_label("Title").fill(title)
    page.get_by_role("button", name="Start the job").click()
    page.wait_for_url(re.compile(r"/jobs/\d+/$"))
    return int(page.url.rstrip("/").rpartition("/")[2])


def next_look(page: Page, address: str) -> None:
    """Waits until the page has asked again and been answered."""
    for _ in range(2):
        with page.expect_response(lambda answer: answer.url.endswith(address)):
            pass


def test_a_job_degrades_recovers_and_shows_both(stack: Stack, browser: Browser) -> None:
    stack.manage("flaky_tools", "search=down")
    with open_as(browser, stack, "otto") as page:
        job = submit_shop(page, "In bad weather")
        page.evaluate("() => { window.neverReloaded = true; }")
        expect_status(page, "Recovering")
        expect(page.locator(".ladder .reached")).to_have_count(2)
        recovering = page.locator("#recovering")
        expect(recovering).to_contain_text(re.compile(r"search is down since .+next try .+gives up tomorrow"))
        weather = page.locator("#weather")
        expect(weather).to_contain_text("Tier 2 now.")
        expect(weather).to_contain_text(
            re.compile(r"Tier 3 lacks evidence\.web on .+: search is down since .+")
        )
        expect(page.get_by_role("button", name="Retry now")).to_be_visible()
        answer = page.locator("#panel-answers")
        expect(answer).to_contain_text("tier 2 of 3")
        expect(answer).to_contain_text("× 0.8 (incomplete: web-search on search failed)")
        assert stack.is_idle(job)

        stack.manage("flaky_tools", "search=ok")
        expect(page.locator("#panel-header .status.pill")).to_contain_text("Converged")
        expect(page.locator(".ladder .reached")).to_have_count(3)
        expect(recovering).to_be_hidden()
        expect(answer).not_to_contain_text("incomplete")
        expect(answer).to_contain_text("No gap in this answer.")
        assert page.evaluate("() => window.neverReloaded") is True
        expect_gapless(page, stack.head_of(job))
        pushed = page.evaluate(PANELS)
        page.reload()
        assert same_rows(page.evaluate(PANELS), pushed)

        versions = answer.locator(".versions .tag")
        expect(versions.first).to_have_attribute("title", re.compile("^Tier 3"))
        expect(versions.nth(1)).to_have_attribute("title", re.compile("^Tier 2"))
        answer.get_by_role("link", name="compare with previous").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("What changed from answer")
        expect(page.locator(".diff-counts")).to_contain_text(re.compile(r"added\s+6.+surer"))
        evidence = page.locator("tr", has_text="Local newspaper").last
        expect(evidence).to_contain_text("not there")
        expect(page.locator(".gap-diff")).to_contain_text("web-search` failed on Local newspaper")
        expect_to_fit(page, 380)


def test_a_worker_is_free_while_a_job_recovers(stack: Stack, browser: Browser) -> None:
    stack.manage("flaky_tools", "search=down")
    with open_as(browser, stack, "otto") as page:
        first = submit_shop(page, "Parked")
        expect_status(page, "Recovering")
        said = re.search(r"/jobs/(\d+)/", stack.manage("submit", "claims"))
        assert said
        assert eventually(lambda: stack.is_idle(int(said[1])))  # by the only worker there is
        page.goto(f"/jobs/{first}/")
        expect_status(page, "Recovering")

        page.get_by_role("button", name="Retry now").click()
        expect(page.locator(".notice.good")).to_contain_text("tries again")
        expect_status(page, "Recovering")
        expect(page.locator("#journal-rows")).to_contain_text("asked to try again")


def test_tripping_and_resetting_is_seen_everywhere_by_itself(stack: Stack, browser: Browser) -> None:
    stack.manage("flaky_tools", "search=down")
    with (
        open_as(browser, stack, "otto", "/tools/search/") as otto,
        open_as(browser, stack, "vera", "/tools/") as board,
        open_as(browser, stack, "ada") as ada,
    ):
        field = open_form(otto, "Trip", "it lies")
        job = submit_shop(ada, "Tripped")
        expect_status(ada, "Recovering")
        row = board.locator("#tool-search")
        expect(row).to_contain_text("Open")
        expect(row.locator("td").last).to_contain_text(re.compile("[1-9]"))
        row.get_by_role("link").focus()

        # The breaker opened meanwhile: there is another form beside the one in which somebody types.
        expect(otto.locator("summary", has_text="Reset")).to_be_visible()
        next_look(otto, "/tools/search/")
        expect(field).to_have_value("it lies")
        expect(field).to_be_focused()
        otto.get_by_role("button", name="Trip search").click()
        expect(otto.locator(".notice.good")).to_contain_text("search is tripped")
        expect(row).to_contain_text("Tripped by hand")
        expect(row).to_contain_text("by otto")
        expect(row.get_by_role("link")).to_be_focused()
        expect(ada.locator("#recovering")).to_contain_text("search is tripped by hand by otto")
        expect(ada.locator("#weather")).to_contain_text("until somebody resets it")

        stack.manage("flaky_tools", "search=ok")
        open_form(otto, "Reset", "mended")
        otto.get_by_role("button", name="Reset search").click()
        expect(ada.locator("#panel-header .status.pill")).to_contain_text("Converged")
        expect(row).to_contain_text("Closed")
        calls = otto.locator("#tool-calls")
        expect(calls).to_contain_text("answered")
        expect(calls.get_by_role("link", name=f"#{job}", exact=True).first).to_be_visible()


def open_form(page: Page, act: str, reason: str) -> Locator:
    """Unfolds a form and types the reason; the field it is typed in."""
    page.locator("summary", has_text=act).click()
    field = page.locator(f"#{act.lower()}-reason")
    field.fill(reason)
    return field


def test_the_pages_of_tools_work_without_script(stack: Stack, browser: Browser) -> None:
    context = browser.new_context(base_url=stack.url, java_script_enabled=False)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto("/sign-in/?next=/tools/")
    sign_in(page, "otto")
    page.get_by_role("link", name="Web search").click()
    expect_figure(page.locator("#tool-view"), "In flight")
    page.locator("summary", has_text="Trip").click()
    page.locator("#trip-reason").fill("by hand, without script")
    page.get_by_role("button", name="Trip search").click()
    expect(page.locator(".notice.good")).to_contain_text("search is tripped")
    expect(page.locator("#tool-view .status.pill")).to_contain_text("Tripped by hand")
    context.close()


def expect_figure(view: Locator, name: str) -> None:
    expect(view.locator(".figures dt", has_text=name)).to_be_visible()
