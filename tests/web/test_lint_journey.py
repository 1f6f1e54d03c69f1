"""A finding leads to what it is about: the real stack, Chromium, wide and narrow."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, expect

from tests.web.journeys import expect_to_fit, open_as
from tests.web.stack import Stack

pytestmark = pytest.mark.browser

NAMES = ('people "decide" <first> 50% #1', "people decide again")
_ADD = """
from runtime.models import GovernanceRule, Pack
for at, name in enumerate({names!r}, start=1):
    GovernanceRule.objects.create(
        pack=Pack.objects.get(name="growth"), name=name, kind="operator", keys=["outlook"], priority=at, origin="admin"
    )
"""
_DROP = (
    "from runtime.models import GovernanceRule; GovernanceRule.objects.filter(name__in={names!r}).delete()"
)


@pytest.fixture(autouse=True)
def _rules_that_shadow_all_others(stack: Stack) -> Iterator[None]:
    stack.manage("shell", "-c", _ADD.format(names=NAMES))
    yield
    stack.manage("shell", "-c", _DROP.format(names=NAMES))


def test_a_finding_shows_the_node_or_the_rule_it_is_about(stack: Stack, browser: Browser) -> None:
    with open_as(browser, stack, "vera", "/packs/growth/") as page:
        expect(page.locator("#lint")).to_contain_text("warnings")
        for width in (1280, 380):
            expect_to_fit(page, width)
            for kind, name in (("agent", "weigh"), ("rule", NAMES[1])):
                page.locator("#lint a", has_text=name).first.click()
                shown = page.locator(":target")
                assert shown.get_attribute("id") == f"{kind}-{quote(name, safe='')}"
                expect(shown).to_be_in_viewport()
