"""What differs from viewer to viewer: the decision form, the forms of a slot, and the job's action.

A push to all viewers leaves these elements empty; each page asks for its own, with its own permissions and receipt.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.contrib.auth.models import User
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from converge_site.forms.decide import make_form, safe_next
from converge_site.forms.defer import make_defer_form
from converge_site.forms.receipts import new_receipt
from converge_site.forms.slot import make_slot_forms
from converge_site.fragments.conflicts import Card
from converge_site.fragments.slots import SlotView
from converge_site.fragments.tool_page import ToolView
from converge_site.fragments.undoing import Undoing, may_undo, read_undoing
from converge_site.fragments.verdicts import Known, may_answer
from converge_site.fragments.weather import Weather, find_shortfalls, read_weather, weather_rev
from converge_site.people import allowed, person_of
from runtime.actions import Refused
from runtime.actions.permissions import may
from runtime.models import Job

DECIDE = "fragments/_decide.html"
ACTION = "fragments/_job_action.html"
SLOT = "fragments/_slot_forms.html"
RECOVERING = "fragments/_recovering.html"
WEATHER = "fragments/_weather.html"
TOOL_FORMS = "fragments/_tool_forms.html"


def render_decide(
    request: HttpRequest | None,
    card: Card,
    refused: Refused | None = None,
    typed: Mapping[str, str] | None = None,
) -> SafeString:
    """The form on a card, or the sentence why this person has none; empty for nobody in particular."""
    if request is None:
        return render_to_string(DECIDE, {"card": card})
    verdict = may_answer(person_of(request), card, vars(request).setdefault("verdicts", {}))
    # The form stands on three pages; fetched alone it belongs to none of them.
    alone = request.method != "GET" or request.path.endswith("/decide/")
    back = safe_next(request, "" if alone else request.get_full_path())
    person = person_of(request)
    may_defer = card.is_open and _may(request, "defer")
    decided = card.answer
    context = {
        "card": card,
        "personal": True,
        "form": make_form(card, back, typed) if verdict.allowed else None,
        "cannot": "" if verdict.allowed else verdict.why,
        "defer": make_defer_form(card, back, typed) if may_defer else None,
        "undoing": _undoing(person, card),
        # Offered also where no rule can express the decision: the form says why.
        "can_learn": decided is not None and decided.act == "decide" and _may(request, "propose_rule"),
        "receipt": new_receipt(),
        "refused": refused,
        "typed": typed or {},
    }
    return render_to_string(DECIDE, context, request)


def _undoing(person: User, card: Card) -> Undoing | None:
    """What may be undone by this person, if it is still in force."""
    if card.is_open or card.job.is_ended or not may_undo(person, card).allowed:
        return None
    undoing = read_undoing(card)
    return undoing if undoing.is_in_force or undoing.pending is not None else None


def _may(request: HttpRequest, act: str) -> bool:
    """Whether this person's role allows an act; asked once for a page."""
    known: Known = vars(request).setdefault("verdicts", {})
    if act not in known:
        known[act] = may(person_of(request), act)
    return known[act].allowed


def render_slot_forms(
    request: HttpRequest | None, view: SlotView, act: str = "", refused: Refused | None = None
) -> SafeString:
    """What this person may do in a slot; empty for nobody in particular. `act` is the form that was `refused`."""
    if request is None:
        return render_to_string(SLOT, {"slot": view})
    forms = make_slot_forms(person_of(request), view, act, refused, request.POST.dict())
    return render_to_string(SLOT, {"slot": view, "personal": True, "forms": forms}, request)


def render_action(request: HttpRequest | None, job: Job) -> SafeString:
    """The one action that fits the job's state and this person; empty for nobody in particular."""
    if request is None:
        return render_to_string(ACTION, {"job": job})
    action = {"kind": fitting_action(person_of(request), job), "receipt": new_receipt()}
    return render_to_string(ACTION, {"job": job, "personal": True, "action": action}, request)


def render_recovering(request: HttpRequest | None, job: Job) -> SafeString:
    """What a recovering job waits for and when it goes on; empty in a push, as it changes without the journal."""
    return _render_weather(RECOVERING, request, job)


def render_weather(request: HttpRequest | None, job: Job) -> SafeString:
    """What a job lacks because of its tools, and how these are now; empty in a push."""
    return _render_weather(WEATHER, request, job)


def _render_weather(template: str, request: HttpRequest | None, job: Job) -> SafeString:
    context = {"job": job, "rev": weather_rev(job), "weather": request and _weather_of(request, job)}
    return render_to_string(template, context, request)


def _weather_of(request: HttpRequest, job: Job) -> Weather:
    """Read once for a page, which tells of it in two places."""
    known: dict[int, Weather] = vars(request).setdefault("weather", {})
    if job.pk not in known:
        known[job.pk] = read_weather(job)
    return known[job.pk]


def render_tool_forms(
    request: HttpRequest, view: ToolView, act: str = "", refused: Refused | None = None
) -> SafeString:
    """Trip and reset for whoever may, or the sentence why not; after a refusal with what was typed."""
    verdict = may(person_of(request), "operate_tool")
    typed = request.POST.get("reason", "") if act else ""
    context = {
        "view": view,
        "cannot": "" if verdict.allowed else verdict.why,
        "receipt": new_receipt(),
        "act": act,
        "refused": refused,
        "typed": typed,
    }
    return render_to_string(TOOL_FORMS, context, request)


def fitting_action(user: User, job: Job) -> str:
    """ "cancel" while at work, "decide" while waiting, "settle" a swing, "retry" while recovering, "clone" once done;
    "again" for a partial answer that a tool is the reason of.

    "" if this person may do none of it.
    """
    if job.is_active:
        return "cancel" if allowed(user, "cancel", job=job) else ""
    if job.status == "waiting":
        return "decide" if allowed(user, "decide", job=job) else ""
    if job.status == "oscillating" and allowed(user, "decide", job=job):
        return "settle"
    if job.status == "recovering":
        return "retry" if allowed(user, "retry", job=job) else ""
    if job.status == "partial" and find_shortfalls(job) and allowed(user, "retry", job=job):
        return "again"
    return "clone" if allowed(user, "submit") else ""
