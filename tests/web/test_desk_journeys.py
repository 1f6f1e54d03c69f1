"""Journeys to the conflict desk: two people race, one decision settles many questions, and one becomes a rule."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.waiting import eventually
from tests.web.journeys import expect_status, open_as, submit_sample
from tests.web.stack import Stack

pytestmark = pytest.mark.browser

DEAF = "delete window.WebSocket;"  # a browser whose socket is gone: it sees what it loaded
SUBMIT = """
from django.contrib.auth.models import User
from runtime.actions import submit_job
from tests.web.cast import sample_seeds
otto = User.objects.get(username="otto")
print([submit_job(otto, "growth", sample_seeds(), f"Alike {n}").pk for n in range(%d)])
"""
FORGET = """
from runtime.models import GovernanceRule
GovernanceRule.objects.filter(origin="admin", learned_from__isnull=False).update(state="retired")
"""


@pytest.fixture
def _no_learned_rules(stack: Stack) -> Iterator[None]:
    """What is learned here binds no later journey."""
    yield
    stack.manage("shell", "-c", FORGET)


def first_question(page: Page, job: int) -> str:
    """The address of the first open conflict of a job."""
    page.goto(f"/jobs/{job}/")
    expect_status(page, "Waiting for people")
    address = page.locator("#conflict-cards .conflict a.slot").first.get_attribute("href")
    assert address
    return address


def test_of_two_operators_who_race_the_second_is_told_who_decided_what(
    stack: Stack, browser: Browser
) -> None:
    with open_as(browser, stack, "otto") as otto, open_as(browser, stack, "ada") as ada:
        job = submit_sample(otto, "A race")
        address = first_question(otto, job)
        otto.add_init_script(DEAF)
        for page in (otto, ada):
            page.goto(address)
        otto.locator(".choice", has_text="promising").click()
        otto.get_by_label("Reason").fill("I was quick")
        ada.locator(".choice", has_text="saturated").click()
        ada.get_by_label("Reason").fill("I was quicker")
        ada.get_by_role("button", name="Decide", exact=True).dblclick()
        expect(ada.locator(".decide")).to_contain_text("ada: keep saturated (“I was quicker”)")

        otto.get_by_role("button", name="Decide", exact=True).click()
        alert = otto.get_by_role("alert")
        expect(alert).to_contain_text("ada has decided this already: keep saturated.")
        expect(otto.locator(".decide")).to_contain_text("ada: keep saturated (“I was quicker”)")
        expect(otto.locator("#decide-form-1, form.choices")).to_have_count(0)
        otto.reload()
        sent = otto.locator("#sent-by-people tbody tr")
        expect(sent).to_have_count(1)
        expect(sent).to_contain_text("applied in cycle")


def test_without_javascript_the_second_gets_the_fresh_card_too(stack: Stack, browser: Browser) -> None:
    with open_as(browser, stack, "otto") as otto, open_as(browser, stack, "ada") as ada:
        address = first_question(otto, submit_sample(otto, "A plain race"))
        plain = browser.new_context(
            base_url=stack.url, java_script_enabled=False, storage_state=stack.sessions["otto"]
        )
        page = plain.new_page()
        page.goto(address)
        ada.goto(address)
        ada.locator(".choice", has_text="saturated").click()
        ada.get_by_role("button", name="Decide", exact=True).click()
        expect(ada.locator(".decide")).to_contain_text("ada: keep saturated")
        page.locator(".choice", has_text="promising").click()
        page.get_by_role("button", name="Decide", exact=True).click()
        expect(page.get_by_role("alert")).to_contain_text("ada has decided this already: keep saturated.")
        plain.close()


def test_one_decision_settles_twenty_like_questions(stack: Stack, browser: Browser) -> None:
    jobs = [int(n) for n in re.findall(r"\d+", stack.manage("shell", "-c", SUBMIT % 10).splitlines()[-1])]
    assert len(jobs) == 10
    waiting = (
        "SELECT count(*) FROM runtime_conflict WHERE status = 'open' AND kind = 'conflict' AND job_id = ?"
    )
    assert eventually(lambda: all(stack._query(waiting, job) == 2 for job in jobs), 60)
    with open_as(browser, stack, "otto") as otto, open_as(browser, stack, "ada", "/inbox/") as ada:
        before = ada.locator(".conflict", has_text="Alike 3")
        expect(before.first).to_be_visible()
        otto.goto(first_question(otto, jobs[0]))
        otto.locator(".choice", has_text="saturated").click()
        otto.get_by_role("button", name=re.compile("Also decide like this")).click()
        likes = otto.locator(".like", has_text="Alike")
        expect(likes).to_have_count(19)

        # Another choice is another list; back again, and all but those of these jobs are let be.
        otto.locator(".choice", has_text="promising").click()
        expect(otto.locator(".alike legend")).to_contain_text("keep promising")
        otto.locator(".choice", has_text="saturated").click()
        expect(otto.locator(".alike legend")).to_contain_text("keep saturated")
        otto.get_by_role("button", name="Tick none").click()
        expect(otto.locator(".like input:checked")).to_have_count(0)
        for place in range(19):
            likes.nth(place).locator("input").check()
        otto.get_by_label("Reason").first.fill("the next euro loses money, everywhere")
        otto.get_by_role("button", name="Decide this and all that are ticked").click()
        expect(otto.locator(".answered .notice")).to_contain_text("20 of 20 decided")
        expect(otto.locator(".answered li")).to_have_count(20)

        assert eventually(lambda: all(stack._query(waiting, job) == 0 for job in jobs), 60)
        expect(before.filter(has_text="Conflict")).to_have_count(0)
        ada.goto(f"/jobs/{jobs[-1]}/")
        expect(ada.locator("#panel-conflicts")).to_contain_text("decided")


@pytest.mark.usefixtures("_no_learned_rules")
def test_a_decision_becomes_a_rule_that_settles_the_next_job(stack: Stack, browser: Browser) -> None:
    with open_as(browser, stack, "otto") as otto, open_as(browser, stack, "ada") as ada:
        job = submit_sample(otto, "Before the rule")
        otto.goto(first_question(otto, job))
        otto.locator(".choice", has_text="saturated").click()
        otto.get_by_label("Reason").first.fill("the next euro loses money")
        otto.get_by_role("button", name="Decide", exact=True).click()
        otto.get_by_role("link", name="Make it a rule").first.click()
        expect(otto.get_by_label("Name")).to_have_value("outlook: headroom over opportunity")
        otto.get_by_label("Why").fill("the next euro loses money, whenever these two disagree")
        otto.get_by_role("button", name="Draft this rule").click()
        otto.wait_for_url(re.compile(r"/rules/\d+/$"))
        expect(otto.locator("main")).to_contain_text("outlook: headroom over opportunity")

        following = submit_sample(otto, "While it is a draft")
        expect_status(otto, "Waiting for people")
        expect(otto.locator("#conflict-cards .conflict", has_text="Approve?")).to_have_count(0)

        ada.goto("/rules/")
        ada.get_by_role("link", name="outlook: headroom over opportunity").first.click()
        ada.locator("summary", has_text="Activate").click()
        form = ada.locator('form[action$="/activate/"]')
        form.get_by_role("textbox").fill("its backtest looks right")
        form.get_by_role("button").click()
        expect(ada.locator("main")).to_contain_text("active")

        settled = submit_sample(otto, "Under the rule")
        assert settled > following
        expect(otto.locator("#conflict-cards .conflict", has_text="Approve?")).to_be_visible()
        expect(otto.locator("#conflict-cards .conflict")).to_have_count(1)


def test_a_question_is_put_off_and_brought_back(stack: Stack, browser: Browser) -> None:
    with open_as(browser, stack, "otto") as otto, open_as(browser, stack, "ada", "/inbox/") as ada:
        job = submit_sample(otto, "To be put off")
        address = first_question(otto, job)
        cards = ada.locator(".conflict", has_text="To be put off")
        expect(cards).to_have_count(2)
        otto.goto(address)
        otto.locator("summary", has_text="Put it off").click()
        otto.get_by_label("Why it waits").fill("the agency calls back")
        otto.get_by_role("button", name="Put off", exact=True).click()
        expect(otto.locator(".conflict")).to_contain_text("Put off by otto, back in")
        expect(cards).to_have_count(1)
        ada.get_by_role("link", name=re.compile(r"Put off \(\d+\)")).click()
        expect(cards).to_have_count(1)
        expect(cards).to_contain_text("the agency calls back")
        cards.get_by_role("button", name="Bring it back now").click()
        expect(cards).to_have_count(0)
        ada.goto("/inbox/")
        expect(cards).to_have_count(2)
