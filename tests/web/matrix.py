"""Who may use which address of the site: pages by GET, acts by POST, and what each act brings along."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from converge_site.fragments.breakers import forget_breakers
from converge_site.fragments.slots import read_slot
from runtime.actions.bulk_jobs import act_on_jobs
from runtime.models import Backtest, Conflict, GovernanceRule, Job, Notice, SavedView, Tool
from runtime.tools.gate import shared_gate
from tests.web.test_deciding import choice_of
from tests.web.tools import break_tool

PEOPLE = ("stranger", "nobody", "gone", "vera", "otto", "olga", "ada")
EVERYBODY = frozenset(PEOPLE)
READERS = frozenset({"vera", "otto", "olga", "ada"})
OPERATORS = frozenset({"otto", "olga", "ada"})
OTHERS = frozenset({"olga", "ada"})  # operators but for the submitter
ADMINS = frozenset({"ada"})
DRAFTERS = frozenset({"otto", "ada"})  # whose draft it is, and admins


@dataclass
class World:
    """A job of Otto's with a conflict and a held value, a decided slot, a rule and a draft, a tool."""

    job: Job
    conflict: Conflict
    hold: Conflict
    settled: Conflict
    rule: GovernanceRule
    draft: GovernanceRule
    backtest: Backtest
    batch: str
    browsers: dict[str, Client]
    people: dict[str, User]
    pack: str = "panel"
    tool: str = "oracle"
    key: str = "verdict"  # the slot that is contested
    subject: str = "doubtful"


Address = Callable[[World], str]


@dataclass(frozen=True)
class Act:
    """A POST, who may send it, and what it brings. `writes` is False where nothing is stored."""

    url: Address
    who: frozenset[str]
    data: Callable[[World], dict[str, Any]] = lambda world: {}
    writes: bool = True
    before: Callable[[World], object] = lambda world: None


def to(name: str, *kinds: str) -> Address:
    """The address of a view, with the ids of things in the world."""

    def build(world: World) -> str:
        ids = {
            "job": world.job.pk,
            "conflict": world.conflict.pk,
            "hold": world.hold.pk,
            "settled": world.settled.pk,
            "rule": world.rule.pk,
            "draft": world.draft.pk,
            "pack": world.pack,
            "tool": world.tool,
            "seq": 1,
            "answer": 1,
        }
        return reverse(name, args=[ids[kind] for kind in kinds])

    return build


def about(name: str, *kinds: str, **query: Callable[[World], str]) -> Address:
    """The address of a view with a query."""
    return lambda w: f"{to(name, *kinds)(w)}?{urlencode({part: of(w) for part, of in query.items()})}"


def the_key(world: World) -> str:
    return world.key


def the_subject(world: World) -> str:
    return world.subject


def the_pack(world: World) -> str:
    return world.pack


def at_slot(key: str, subject: str) -> dict[str, Any]:
    return {"key": key, "subject": subject, "receipt": str(uuid4()), "reason": "so it is"}


def answer(conflict: Conflict, **more: Any) -> dict[str, Any]:
    for name in ("choice", "preview"):
        if name in more:
            more[name] = choice_of(conflict, more[name])
    seen = {"version": conflict.version, "rule": conflict.rule}
    return {**seen, "receipt": str(uuid4()), "reason": "so it is", **more}


def slot_version(world: World, key: str, subject: str) -> str:
    view = read_slot(world.job, key, subject)
    assert view is not None
    return view.version


def mend(world: World) -> None:
    """The tool's breaker is closed."""
    shared_gate().reset("oracle")
    forget_breakers()


def trip(world: World) -> None:
    """It is open, as workers open it."""
    mend(world)
    break_tool(Tool.objects.get(name="oracle"))


def about_draft(world: World) -> dict[str, Any]:
    return {"version": str(world.draft.version), "reason": "so it is"}


def cancelled_at_once(world: World) -> str:
    """The page that tells what became of a form of Otto's."""
    receipt = f"at-once-{world.job.pk}"
    act_on_jobs(world.people["otto"], "cancel", [(world.job.pk, world.job.status)], receipt=receipt)
    return reverse("bulk_done", args=[receipt])


def save_one(world: World) -> None:
    """A view of Otto's."""
    SavedView.objects.get_or_create(
        name="mine", defaults={"query": "status=waiting", "by": world.people["otto"], "by_name": "otto"}
    )


def to_view(world: World) -> str:
    view = SavedView.objects.first()
    return reverse("delete_view", args=[view.pk if view else 1])


PAGES: dict[str, tuple[Address, frozenset[str]]] = {
    "jobs": (to("jobs"), READERS),
    "saved_views": (to("saved_views"), READERS),
    "bulk": (lambda w: f"{reverse('bulk')}?act=cancel&all=1", OPERATORS),
    "bulk_done": (cancelled_at_once, READERS),
    "runtimes": (to("runtimes"), READERS),
    "new_job": (to("new_job"), OPERATORS),
    "job": (to("job", "job"), READERS),
    "job_action": (to("job_action", "job"), READERS),
    "journal": (to("journal", "job"), READERS),
    "entry": (to("entry", "job", "seq"), READERS),
    "slot": (about("slot", "job", key=the_key, subject=the_subject), READERS),
    "slot_forms": (about("slot_forms", "job", key=the_key, subject=the_subject), READERS),
    "tier": (lambda w: reverse("tier", args=[w.job.pk, 1]), READERS),
    "new_fact": (to("new_fact", "job"), OPERATORS),
    "context": (about("context", "job", key=the_key), READERS),
    "answer": (to("answer", "job", "answer"), READERS),
    "answer_json": (to("answer_json", "job", "answer"), READERS),
    "answer_csv": (to("answer_csv", "job", "answer"), READERS),
    "context_csv": (to("context_csv", "job"), READERS),
    "context_json": (to("context_json", "job"), READERS),
    "journal_csv": (to("journal_csv", "job"), READERS),
    "journal_json": (to("journal_json", "job"), READERS),
    "compare_answers": (to("compare_answers", "job", "answer", "answer"), READERS),
    "weather": (to("weather", "job"), READERS),
    "timeline": (to("timeline", "job"), READERS),
    "verify_job": (to("verify_job", "job"), READERS),
    "bundle": (to("bundle", "job"), READERS),
    "conflict": (to("conflict", "conflict"), READERS),
    "decide": (to("decide", "conflict"), READERS),
    "inbox": (to("inbox"), READERS),
    "keys": (to("keys"), READERS),
    "tools": (to("tools"), READERS),
    "tool": (to("tool", "tool"), READERS),
    "tool_forms": (to("tool_forms", "tool"), READERS),
    "packs": (to("packs"), READERS),
    "pack": (to("pack", "pack"), READERS),
    "bench": (to("bench", "pack"), READERS),
    "rules": (to("rules"), READERS),
    "rule": (to("rule", "rule"), READERS),
    "new_rule": (about("new_rule", pack=the_pack), OPERATORS),
    "edit_rule": (to("edit_rule", "draft"), DRAFTERS),
    "learn": (to("learn", "settled"), OPERATORS),
    "backtest": (lambda w: reverse("backtest", args=[w.backtest.pk]), READERS),
    "answered": (lambda w: reverse("answered", args=[w.batch]), READERS),
    "notices": (to("notices"), READERS),
    "news": (to("news"), READERS),
    "sign_in": (to("sign_in"), EVERYBODY),
    "healthz": (to("healthz"), EVERYBODY),
}

ACTS: dict[str, Act] = {
    "new_job": Act(
        to("new_job"),
        OPERATORS,
        lambda w: {
            "pack": "panel",
            "mode": "paste",
            "text": '[{"key": "case", "subject": "x", "value": {}}]',
            "receipt": str(uuid4()),
            "do": "create",
        },
    ),
    "bulk": Act(
        to("bulk"),
        OPERATORS,
        lambda w: {"act": "cancel", "seen": f"{w.job.pk}:{w.job.status}", "receipt": str(uuid4())},
    ),
    "saved_views": Act(
        to("saved_views"), OPERATORS, lambda w: {"name": "waiting for us", "query": "status=waiting"}
    ),
    "delete_view": Act(to_view, DRAFTERS, before=save_one),
    "cancel_job": Act(to("cancel_job", "job"), OPERATORS, lambda w: {"receipt": str(uuid4())}),
    "retry_job": Act(to("retry_job", "job"), OPERATORS, lambda w: {"receipt": str(uuid4())}),
    "decide": Act(to("decide", "conflict"), OPERATORS, lambda w: answer(w.conflict, choice="0")),
    "decide:hold": Act(to("decide", "hold"), OTHERS, lambda w: answer(w.hold, choice="approve")),
    "preview": Act(
        to("preview", "conflict"), OPERATORS, lambda w: answer(w.conflict, preview="0"), writes=False
    ),
    "preview:hold": Act(
        to("preview", "hold"), OTHERS, lambda w: answer(w.hold, preview="approve"), writes=False
    ),
    "alike": Act(to("alike", "conflict"), OPERATORS, lambda w: answer(w.conflict, choice="0"), writes=False),
    "defer": Act(to("defer", "conflict"), OPERATORS, lambda w: answer(w.conflict, span="3600")),
    "decide_slot": Act(
        to("decide_slot", "job"),
        OPERATORS,
        lambda w: (
            at_slot("verdict", "clear")
            | {"choice": "other", "value": "no", "version": slot_version(w, "verdict", "clear")}
        ),
    ),
    "undo": Act(
        to("undo", "job"),
        OPERATORS,
        lambda w: at_slot("verdict", "settled") | {"version": slot_version(w, "verdict", "settled")},
    ),
    "say": Act(
        to("say", "job"),
        OPERATORS,
        lambda w: at_slot("verdict", "clear") | {"value": "no", "confidence": "1"},
    ),
    "withdraw": Act(to("withdraw", "job"), OPERATORS, lambda w: at_slot("verdict", "said")),
    "new_fact": Act(
        to("new_fact", "job"),
        OPERATORS,
        lambda w: at_slot("verdict", "new") | {"value": "no", "confidence": "1"},
    ),
    "trip_tool": Act(to("trip_tool", "tool"), OPERATORS, lambda w: {"reason": "it lies"}, before=mend),
    "reset_tool": Act(to("reset_tool", "tool"), OPERATORS, lambda w: {"reason": "it is well"}, before=trip),
    "undo_conflict": Act(
        to("undo_conflict", "settled"),
        OPERATORS,
        lambda w: answer(w.settled) | {"version": slot_version(w, "verdict", "settled")},
    ),
    "learn": Act(
        to("learn", "settled"),
        OPERATORS,
        lambda w: {
            "name": "strict is right",
            "scope": "shape",
            "priority": "5",
            "expires": (dt.date.today() + dt.timedelta(days=30)).isoformat(),
            "reason": "so it is",
            "receipt": str(uuid4()),
        },
    ),
    "new_rule": Act(
        lambda w: f"{reverse('new_rule')}?pack=panel",
        OPERATORS,
        lambda w: {
            "pack": str(w.draft.pack_id),
            "name": "yet another",
            "kind": "confidence",
            "keys": "verdict",
            "priority": "50",
            "params": '{"margin": 0.3}',
            "why": "to try it",
        },
    ),
    "edit_rule": Act(
        to("edit_rule", "draft"),
        DRAFTERS,
        lambda w: {
            "version": str(w.draft.version),
            "name": w.draft.name,
            "kind": "confidence",
            "keys": "verdict",
            "priority": "50",
            "params": '{"margin": 0.9}',
            "why": "to try it",
        },
    ),
    "activate_rule": Act(to("activate_rule", "draft"), ADMINS, about_draft),
    "retire_rule": Act(
        to("retire_rule", "rule"), ADMINS, lambda w: {"version": str(w.rule.version), "reason": "so it is"}
    ),
    "draft_of_rule": Act(to("draft_of_rule", "rule"), OPERATORS),
    "delete_draft": Act(to("delete_draft", "draft"), DRAFTERS, about_draft),
    "start_backtest": Act(to("start_backtest", "rule"), OPERATORS, lambda w: {"receipt": str(uuid4())}),
    "cancel_backtest": Act(
        lambda w: reverse("cancel_backtest", args=[w.backtest.pk]),
        OPERATORS,
        lambda w: {"receipt": str(uuid4())},
    ),
    "check_expression": Act(
        to("check_expression"),
        OPERATORS,
        lambda w: {"kind": "operator", "expression": "true", "pack": str(w.draft.pack_id)},
        writes=False,
    ),
    "verify_job": Act(to("verify_job", "job"), READERS, writes=False),
    "notices_seen": Act(to("notices_seen"), READERS, lambda w: {"upto": str(Notice.objects.latest("id").pk)}),
    "notice_settings": Act(
        to("notice_settings"), READERS, lambda w: {"every_minutes": "60", "kinds": ["tier_lost"]}
    ),
}
