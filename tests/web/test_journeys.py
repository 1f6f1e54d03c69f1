"""Journeys through the real stack in a real browser: `manage.py up`, a worker, sockets, Chromium."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.waiting import eventually
from tests.web.journeys import (
    OPEN_FORMS,
    PANELS,
    answer_first,
    expect_gapless,
    expect_settled,
    expect_status,
    open_as,
    same_rows,
    submit_sample,
)
from tests.web.stack import Stack

pytestmark = pytest.mark.browser


def test_otto_submits_watches_decides_and_sees_it_converge(stack: Stack, browser: Browser) -> None:
    with open_as(browser, stack, "otto") as page:
        job = submit_sample(page, "Spring budget")
        page.evaluate("() => { window.neverReloaded = true; }")
        expect_status(page, "Waiting for people")
        expect(page.locator("#live-state")).to_contain_text("Live")
        expect(page.locator(".ladder .reached")).to_have_count(1)
        expect(page.locator("#inbox-badge")).to_be_visible()
        expect(page.locator("#panel-why")).to_contain_text("2 questions are open")

        answer_first(page, "saturated", "the next euro loses money")
        expect(page.locator(OPEN_FORMS)).to_have_count(1)
        expect_status(page, "Waiting for people")
        answer_first(page, "saturated", "so does this one")

        hold = page.locator(".conflict", has_text="Approve?")
        expect(hold).to_be_visible()
        expect(page.locator(".ladder .reached")).to_have_count(2)
        answer_first(page, "Approve", "agreed")

        expect_status(page, "Converged")
        expect(page.locator(".ladder .reached")).to_have_count(3)
        expect(page.locator("#panel-answers")).to_contain_text("tier 3 of 3")
        expect(page.get_by_role("link", name="Clone")).to_be_visible()
        assert page.evaluate("() => window.neverReloaded") is True

        expect_gapless(page, stack.head_of(job))
        pushed = page.evaluate(PANELS)
        page.reload()
        assert same_rows(page.evaluate(PANELS), pushed)


def test_every_stop_on_the_way_equals_its_reload(stack: Stack, browser: Browser) -> None:
    """Vera watches while Otto answers; at each stop her page equals the same page loaded afresh."""
    with (
        open_as(browser, stack, "otto") as otto,
        open_as(browser, stack, "vera") as vera,
        open_as(browser, stack, "vera") as fresh,
    ):
        job = submit_sample(otto, "Watched")
        vera.goto(f"/jobs/{job}/")
        expect_status(vera, "Waiting for people")
        for open_forms, choice in ((2, "promising"), (1, "saturated"), (1, "Approve")):
            expect(otto.locator(OPEN_FORMS)).to_have_count(open_forms)
            answer_first(otto, choice, "")
            assert eventually(lambda: stack.is_idle(job))
            head = str(stack.head_of(job))
            assert eventually(lambda head=head: vera.locator("#main").get_attribute("data-last") == head)
            expect_settled(vera)
            fresh.goto(f"/jobs/{job}/")
            assert same_rows(fresh.evaluate(PANELS), vera.evaluate(PANELS))
        expect_status(vera, "Converged")


def test_vera_watches_and_cannot_decide(stack: Stack, browser: Browser) -> None:
    with open_as(browser, stack, "otto") as otto, open_as(browser, stack, "vera") as vera:
        job = submit_sample(otto, "For Vera to see")
        vera.goto(f"/jobs/{job}/")
        expect_status(vera, "Waiting for people")
        expect(vera.locator("#conflict-cards .conflict")).to_have_count(2)
        expect(vera.locator(OPEN_FORMS)).to_have_count(0)
        expect(vera.locator("#conflict-cards")).to_contain_text("Deciding needs the role operator")
        expect(vera.get_by_role("link", name="New job")).to_have_count(0)

        card = vera.locator("#conflict-cards .conflict").first.get_attribute("id")
        assert card
        answer = vera.evaluate(
            """async (number) => {
                const headers = JSON.parse(document.body.getAttribute("hx-headers"));
                const body = new URLSearchParams({choice: "0", version: "x", receipt: "from-vera-1"});
                const sent = await fetch(`/conflicts/${number}/decide/`, {method: "POST", headers, body});
                return [sent.status, await sent.text()];
            }""",
            card.removeprefix("conflict-"),
        )
        assert answer[0] == 403
        assert "Deciding needs the role operator; you are signed in as a viewer." in answer[1]

        answer_first(otto, "promising", "")
        expect(vera.locator("#conflict-cards .conflict")).to_have_count(1)
        expect(vera.locator(".settled")).to_contain_text("decided")


def test_a_dropped_socket_comes_back_with_nothing_missing_or_doubled(stack: Stack, browser: Browser) -> None:
    with open_as(browser, stack, "vera") as vera, open_as(browser, stack, "otto") as otto:
        vera.add_init_script(
            """const Real = window.WebSocket;
            window.sockets = [];
            window.WebSocket = class extends Real {
                constructor(...args) { super(...args); window.sockets.push(this); }
            };"""
        )
        job = submit_sample(otto, "Through a bad line")
        vera.goto(f"/jobs/{job}/")
        expect_status(vera, "Waiting for people")
        for round_, choice in enumerate(("saturated", "saturated", "Approve"), start=1):
            vera.evaluate("() => window.sockets.at(-1).close()")
            answer_first(otto, choice, "")
            assert eventually(lambda n=round_: vera.evaluate("() => window.sockets.length") > n)
            expect(otto.locator(".decide .notice.info")).to_have_count(0)
            if round_ < 3:
                expect(otto.locator(OPEN_FORMS)).to_have_count(1)
        expect_status(otto, "Converged")
        expect_status(vera, "Converged")
        expect_gapless(vera, stack.head_of(job))
        expect(vera.locator("#live-state")).to_contain_text("Live")


def test_what_a_person_types_survives_a_push(stack: Stack, browser: Browser) -> None:
    with open_as(browser, stack, "otto") as otto, open_as(browser, stack, "ada") as ada:
        job = submit_sample(otto, "Typing")
        expect(otto.locator(OPEN_FORMS)).to_have_count(2)
        ada.goto(f"/jobs/{job}/")
        second = ada.locator(OPEN_FORMS).nth(1).get_by_label("Reason")
        second.fill("half a sente")
        answer_first(otto, "promising", "")
        expect(ada.locator(OPEN_FORMS)).to_have_count(1)
        left = ada.locator(OPEN_FORMS).get_by_label("Reason")
        expect(left).to_have_value("half a sente")
        expect(left).to_be_focused()


def test_the_list_and_the_inbox_move_by_themselves(stack: Stack, browser: Browser) -> None:
    with (
        open_as(browser, stack, "vera", "/?q=moving") as jobs,
        open_as(browser, stack, "otto") as otto,
        open_as(browser, stack, "ada", "/inbox/") as inbox,
    ):
        expect(jobs.locator("#job-list")).to_be_visible()
        job = submit_sample(otto, "Moving row")
        row = jobs.locator(f"#job-{job}")
        expect(row).to_contain_text("Waiting for people")
        cards = inbox.locator(".conflict", has_text="Moving row")
        expect(cards).to_have_count(2)
        form = cards.first.locator("[id^=decide-form-]")
        form.locator(".choice", has_text="promising").click()
        form.locator("button.primary").click()
        expect(cards).to_have_count(1)
        otto.goto(f"/jobs/{job}/")
        answer_first(otto, "promising", "")
        expect(row).to_contain_text("2/3")


def test_ada_changes_a_rule_and_only_the_next_job_obeys_it(stack: Stack, browser: Browser) -> None:
    with open_as(browser, stack, "ada") as ada:
        running = submit_sample(ada, "Under the old rule")
        expect_status(ada, "Waiting for people")
        expect(ada.locator("#conflict-cards .conflict")).to_have_count(2)

        change_margin(ada, "0.1")
        ada.goto(f"/jobs/{running}/")
        expect(ada.locator("#conflict-cards .conflict")).to_have_count(2)
        answer_first(ada, "promising", "still asked")
        expect(ada.locator("#conflict-cards .conflict")).to_have_count(1)

        following = submit_sample(ada, "Under the new rule")
        expect(ada.locator(".conflict", has_text="Approve?")).to_be_visible()
        expect(ada.locator("#conflict-cards .conflict")).to_have_count(1)
        assert following != running
        change_margin(ada, "0.4")


def change_margin(page: Page, margin: str) -> None:
    """Ada's way to another margin: a draft of the rule in force, which she changes and puts in its place."""
    page.goto("/rules/?pack=growth&state=active&q=clear+margin")
    page.get_by_role("link", name="clear margin").click()
    page.get_by_role("button", name="Make a draft of it").click()
    expect(page.locator(".status.pill")).to_contain_text("draft")
    page.get_by_role("link", name="Edit").click()
    page.locator("#id_params").fill(f'{{"margin": {margin}}}')
    page.get_by_label("Why").fill("tried out in a journey")
    page.get_by_role("button", name="Keep").click()
    page.locator("summary", has_text="Activate").click()
    page.locator("#activate-reason").fill("tried out in a journey")
    page.locator("form[action$='/activate/'] button").click()
    expect(page.locator(".status.pill")).to_contain_text("active")
    expect(page.locator(".rule-says")).to_contain_text(f"margin: {margin}")
