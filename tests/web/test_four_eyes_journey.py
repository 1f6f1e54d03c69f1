"""Four eyes: a rule that lets nobody sign what is his own, seen by the submitter and by somebody else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.web.journeys import OPEN_FORMS, answer_first, expect_status, open_as, submit_sample
from tests.web.stack import Stack

pytestmark = pytest.mark.browser

_FOUR_EYES = """
from django.contrib.auth.models import User
from runtime.actions.rules import activate_rule, draft_rule
from runtime.models import GovernanceRule
ada, old = User.objects.get(username="ada"), GovernanceRule.objects.get(name="somebody signs the plan")
said = {"kind": "approval", "keys": ["plan"], "params": {**old.params, "exclude_submitter": True, "reason": True}}
draft = draft_rule(ada, old.pack_id, {**said, "name": "somebody else signs the plan"}, "four eyes", replaces=old)
activate_rule(ada, draft.pk, "four eyes", version=draft.version, retires=old.pk)
"""

_TWO_EYES = """
from django.contrib.auth.models import User
from runtime.actions.rules import activate_rule, draft_from
from runtime.models import GovernanceRule
ada = User.objects.get(username="ada")
new, old = (GovernanceRule.objects.get(name=f"somebody {who}signs the plan") for who in ("else ", ""))
draft = draft_from(ada, old.pk)
draft.replaces = new
draft.save(update_fields=["replaces"])
activate_rule(ada, draft.pk, "as it was", version=draft.version, retires=new.pk)
"""


@pytest.fixture
def four_eyes(stack: Stack) -> Iterator[None]:
    """The plan of the sample is signed by somebody else than who submitted it, with a reason."""
    stack.manage("shell", "-c", _FOUR_EYES)
    yield
    stack.manage("shell", "-c", _TWO_EYES)


def test_submitter_is_refused_and_somebody_else_signs(
    four_eyes: None, stack: Stack, browser: Browser
) -> None:
    with open_as(browser, stack, "otto") as otto, open_as(browser, stack, "ada") as ada:
        job = submit_sample(otto, "Signed by another")
        expect(otto.locator(OPEN_FORMS)).to_have_count(2)
        answer_first(otto, "saturated", "the next euro loses money")
        expect(otto.locator(OPEN_FORMS)).to_have_count(1)
        answer_first(otto, "saturated", "so does this one")
        hold = otto.locator(".conflict", has_text="Approve?")
        expect(hold).to_contain_text(
            "The rule “somebody else signs the plan” asks for somebody other than the submitter."
        )
        expect(hold.locator(OPEN_FORMS)).to_have_count(0)

        # Round the page: a bare request with the submitter's own session and token.
        number = (hold.get_attribute("id") or "").removeprefix("conflict-")
        status = otto.evaluate(
            """async (number) => {
                const headers = JSON.parse(document.body.getAttribute("hx-headers"));
                const body = new URLSearchParams({choice: "approve", reason: "mine", receipt: "from-otto-1"});
                return (await fetch(`/conflicts/${number}/decide/`, {method: "POST", headers, body})).status;
            }""",
            number,
        )
        assert status == 403
        expect_status(otto, "Waiting for people")

        ada.goto(f"/conflicts/{number}/")
        answer_first(ada, "Approve", "read and agreed")
        expect_status(otto, "Converged")
        ada.goto(f"/jobs/{job}/")
        expect_status(ada, "Converged")
