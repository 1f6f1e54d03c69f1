"""An answer on paper, and in the clipboard."""

from __future__ import annotations

import json
import re

import pytest
from django.test import Client
from playwright.sync_api import expect

from runtime.models import Answer, Cycle, Job
from tests.web.played import played

pytestmark = pytest.mark.browser

# What is on the paper: words of what is shown, with what style sheets add.
ON_PAPER = """() => [...document.querySelectorAll("body *")].flatMap((element) => {
    if (!element.checkVisibility()) return [];
    const style = getComputedStyle(element), added = getComputedStyle(element, "::after").content;
    const own = style.fontSize === "0px" ? [] : [...element.childNodes].filter((node) => node.nodeType === 3);
    return [...own.map((node) => node.data.trim()), added === "none" ? "" : added];
}).filter(Boolean).join(" ")"""


def test_an_answer_on_paper_holds_all_it_claims_and_no_button(vera: Client, waiting_job: Job) -> None:
    answer = Answer.objects.get(job=waiting_job, version=waiting_job.answer_version)
    digest = Cycle.objects.get(job=waiting_job, number=answer.cycle).digest
    with played(
        vera, viewport={"width": 1000, "height": 1300}, timezone_id="Asia/Tokyo", locale="en-GB"
    ) as window:
        page = window.page
        page.goto(f"/jobs/{waiting_job.pk}/answers/{answer.version}/")
        expect(page.get_by_role("button", name="Print")).to_be_visible()
        page.evaluate("() => { window.print = () => { window.printed = true; }; }")
        page.get_by_role("button", name="Print").click()
        assert page.evaluate("() => window.printed") is True
        page.emulate_media(media="print", color_scheme="dark")
        text = page.evaluate(ON_PAPER)
        assert digest in text and f"/jobs/{waiting_job.pk}/answers/{answer.version}/" in text
        for gap in answer.gaps:
            assert gap["text"] in text
        assert (
            page.locator(".topbar, .btn:visible, button:visible, form:visible")
            .locator("visible=true")
            .count()
            == 0
        )
        assert not re.search(r"\bago\b|just now", text)
        assert answer.created_at.strftime("%Y-%m-%d %H:%M:%S UTC") in text
        assert "GMT+9" in text
        # Dark on white, whatever the screen is like.
        assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.evaluate("() => getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
        assert len(page.pdf(format="A4")) > 10_000
        assert window.wrongs() == []


def test_an_answer_is_copied_whole(vera: Client, waiting_job: Job) -> None:
    with played(vera) as window:
        page = window.page
        page.goto(f"/jobs/{waiting_job.pk}/answers/1/")
        # The clipboard is lent to pages over TLS alone; here it is the older way that copies.
        page.evaluate(
            """() => { document.addEventListener("copy", () => { window.copied = getSelection().toString()
                || document.activeElement.value; }); }"""
        )
        page.get_by_role("button", name="Copy JSON").click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        copied = json.loads(page.evaluate("() => window.copied"))
        assert copied["version"] == 1 and copied["facts"]
        assert window.wrongs() == []
