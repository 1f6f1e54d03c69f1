"""The record of a job is verified and downloaded in a real browser, on the real stack."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.commands.said import call
from tests.waiting import eventually
from tests.web.journeys import expect_status, open_as, submit_sample
from tests.web.stack import Stack


@pytest.mark.browser
def test_otto_verifies_and_downloads(stack: Stack, browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "bundle.json"
    with open_as(browser, stack, "otto") as page:
        submit_sample(page, "To be verified")
        expect_status(page, "Waiting for people")
        panel = page.locator("#panel-verify")
        panel.get_by_role("button", name="Verify").click()
        expect(panel.get_by_role("status")).to_contain_text("This record holds.")
        expect(panel).to_contain_text("the same digests")
        assert eventually(
            lambda: _signed_up_to(page, panel) != ""
        )  # the scheduler of the stack signs by itself
        with page.expect_download() as download:
            panel.get_by_role("link", name="Bundle").click()
        download.value.save_as(path)
    said = call("verify", str(path))
    # The stack has a home and a key of its own, which this process does not know.
    assert said.status == 0 and "which you have not named as trusted" in said.out


def _signed_up_to(page: Page, panel: Locator) -> str:
    """What the panel says of the signed head, verified once more."""
    with page.expect_response("**/verify/"):
        panel.get_by_role("button", name="Verify").click()
    found = re.search(r"up to cycle \d+", panel.inner_text())
    return found.group() if found else ""
