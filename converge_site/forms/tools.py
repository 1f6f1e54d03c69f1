"""The two forms on a tool's page: trip its breaker, and reset it."""

from __future__ import annotations

from collections.abc import Mapping

from django.http import HttpRequest

from converge_site.forms.receipts import read_receipt
from converge_site.fragments.tool_page import ToolView
from runtime.actions import Refused

RECEIPTS_KEPT = 30


def remember_receipt(request: HttpRequest) -> bool:
    """Whether this form is sent for the first time in this session; from then on it is known.

    Breakers are no rows and keep no receipts. Of two sends that meet, the second finds what the first one did.
    """
    receipt = read_receipt(request.POST.get("receipt"))
    known: list[str] = request.session.get("tool_receipts", [])
    if receipt in known:
        return False
    request.session["tool_receipts"] = [*known, receipt][-RECEIPTS_KEPT:]
    return True


def read_reason(posted: Mapping[str, str]) -> str:
    """Why it is done: others will find the tool so. Raises Refused."""
    reason = posted.get("reason", "").strip()
    if not reason:
        raise Refused("Say why, for those who find it so.", field="reason")
    return reason


def check_can_trip(view: ToolView) -> None:
    """Refuses to trip what is tripped."""
    if view.row.breaker.state == "tripped":
        raise Refused(f"{view.row.breaker.tripped_by} has tripped it already.", code="stale")


def check_can_reset(view: ToolView) -> None:
    """Refuses to reset what goes well."""
    if view.row.breaker.state != "unknown" and not view.can_reset:
        raise Refused("It is closed and nothing failed lately; there is nothing to reset.", code="stale")
