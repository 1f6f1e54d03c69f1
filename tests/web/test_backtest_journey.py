"""A draft is tried on past jobs from its page, and its progress is seen by itself: the real stack, Chromium."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.waiting import eventually
from tests.web.journeys import expect_to_fit, open_as
from tests.web.stack import Stack

pytestmark = pytest.mark.browser

_SUBMIT = """
from django.contrib.auth.models import User
from runtime.actions import submit_job
from runtime.agents import find_pack
otto = User.objects.get(username="otto")
print("job", submit_job(otto, "claims", find_pack("claims").sample_seeds(), "Claims of May").pk)
"""
_COPY = """
from django.contrib.auth.models import User
from runtime.actions.rules import draft_rule
from runtime.models import Job
from tests.runtime.copied_jobs import copy_job
otto, job = User.objects.get(username="otto"), Job.objects.get(pk={job})
copy_job(job, 11)
said = {{"name": "two must sign", "kind": "approval", "keys": ["verdict"], "params": {{"count": 2}}}}
print("rule", draft_rule(otto, job.pack_id, said, "to try it").pk)
"""


def test_a_draft_is_tried_and_its_progress_is_seen_by_itself(stack: Stack, browser: Browser) -> None:
    job = int(stack.manage("shell", "-c", _SUBMIT).split("job ")[1])
    assert eventually(lambda: stack.head_of(job) > 0 and stack.is_idle(job), 60), (
        "a worker of the stack runs it"
    )
    rule = int(stack.manage("shell", "-c", _COPY.format(job=job)).split("rule ")[1])
    with open_as(browser, stack, "otto", f"/rules/{rule}/") as page:
        page.get_by_label("Newest settled jobs").fill("12")
        page.get_by_role("button", name="Try it on past jobs").dblclick()
        page.wait_for_url("**/backtests/*/")
        address = page.url.removeprefix(stack.url)
        expect(page.get_by_role("button", name="Break it off")).to_be_visible()
        with open_as(browser, stack, "vera", address) as other:
            for seen in (page, other):
                expect(seen.locator("#backtest-progress")).to_contain_text("12 of 12 jobs")
                expect(seen.locator("#backtest-progress .status")).to_have_text("Done")
                expect(seen.get_by_role("button", name="Break it off")).to_have_count(0)
            pushed = page.locator("#backtest-flips").inner_text()
            page.reload()
            assert page.locator("#backtest-flips").inner_text() == pushed
        assert page.locator("#backtest-progress progress").get_attribute("value") == "12"
        page.get_by_role("link", name="Next").click()
        expect(page.locator(".pager")).to_contain_text("page 2 of")
        for width in (1280, 380):
            expect_to_fit(page, width)
        page.locator(".flips a.slot").first.click()
        expect(page.locator("h1")).to_be_visible()
        page.goto(f"/rules/{rule}/")
        expect(page.locator("#backtests")).to_contain_text("in 12 jobs")
        assert page.locator("#backtests li").count() == 1, "a double click began one"
