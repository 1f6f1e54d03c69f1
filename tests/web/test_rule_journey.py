"""A rule is written in the CEL editor, tried on the bench, and activated: the real stack, Chromium, the real policy of
scripts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.web.journeys import expect_to_fit, open_as
from tests.web.stack import Stack

pytestmark = pytest.mark.browser

NAME = "two sides only"
_DROP = f"from runtime.models import GovernanceRule; GovernanceRule.objects.filter(name={NAME!r}).delete()"


@pytest.fixture(autouse=True)
def _leaves_no_rule(stack: Stack) -> Iterator[None]:
    yield
    stack.manage("shell", "-c", _DROP)


def test_a_rule_from_the_editor_to_the_bench_to_force(stack: Stack, browser: Browser) -> None:
    with open_as(browser, stack, "otto", "/rules/new/?pack=growth") as page:
        page.get_by_label("Name").fill(NAME)
        page.get_by_role("textbox", name="Keys").fill("outlook")
        page.locator("#id_params").fill('{"margin": 0.1}')
        # Before `weigh`, which is asked where the evidence of a past job is tried.
        page.locator("#id_priority").fill("5")
        type_with_help(page)
        page.get_by_label("Why").fill("a smaller lead is enough between two")
        page.get_by_role("button", name="Keep the draft").click()
        expect(page.locator("h1")).to_have_text(NAME)
        page.get_by_role("link", name="Test bench").click()
        expect(page.locator("#b-rule option:checked")).to_contain_text(NAME)
        page.locator("#r1-agent").fill("opportunity")
        page.locator("#r1-value").fill("promising")
        page.locator("#r1-conf").fill("0.8")
        page.locator("#r2-agent").fill("headroom")
        page.locator("#r2-value").fill("saturated")
        page.locator("#r2-conf").fill("0.5")
        page.get_by_role("button", name="Try these").click()
        expect(page.locator("#verdict")).to_contain_text(f"“{NAME}” decided for it")
        expect_to_fit(page, 380)
        page.locator(".crumbs").get_by_role("link", name=NAME).click()
        expect(page.locator("h1")).to_have_text(NAME)
        address = page.url
        expect_to_fit(page, 380)
    with open_as(browser, stack, "ada", address.removeprefix(stack.url)) as page:
        page.locator("summary", has_text="Activate").click()
        page.locator("#activate-reason").fill("tried on the bench")
        page.locator("form[action$='/activate/'] button").dblclick()
        expect(page.locator(".status.pill")).to_contain_text("active")
        expect(page.locator(".rule-versions > li")).to_have_count(2)


def type_with_help(page: Page) -> None:
    """A fault is pointed at while typing, an example is inserted at the cursor, and another kind has other names."""
    text, said = page.locator("textarea[name=expression]"), page.locator("[data-cel-said]")
    text.fill("true &&\n  side.size()")
    expect(said).to_contain_text("unknown name `side`")
    expect(said).to_contain_text("line 2, column 3")
    assert said.locator("pre").inner_text() == "  side.size()\n  ^"
    text.fill("true && ")
    page.get_by_role("button", name="sides.size() == 2").click()
    expect(text).to_have_value("true && sides.size() == 2")
    expect(said).to_contain_text("This compiles.")
    page.get_by_label("Kind").select_option("approval")
    expect(said).to_contain_text("unknown name `sides`")
    expect(page.locator("[data-cel-kind=approval]")).to_be_visible()
    expect(page.locator("[data-cel-kind=confidence]")).to_be_hidden()
    page.get_by_label("Kind").select_option("confidence")
    expect(said).to_contain_text("This compiles.")


def test_the_admins_form_has_the_same_editor(stack: Stack, browser: Browser) -> None:
    with open_as(browser, stack, "ada", "/admin/runtime/governancerule/add/") as page:
        page.locator("select[name=kind]").select_option("constraint")
        page.locator("select[name=pack]").select_option(label="Marketing growth")
        page.locator("textarea[name=expression]").fill('fact("plans", subject) == null')
        said = page.locator("[data-cel-said]")
        expect(said).to_contain_text("looks up 'plans'")
        expect(said.locator("pre")).to_contain_text("^")
        page.locator("textarea[name=expression]").fill('fact("plan", subject) == null')
        expect(said).to_contain_text("This compiles.")
