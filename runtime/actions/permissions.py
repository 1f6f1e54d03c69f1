"""Who may do what: the one function that decides it for page, API, socket and timer alike (D9.1, D9.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.contrib.auth.models import AnonymousUser

from runtime.actions.audit import Person, name_of
from runtime.actions.refusals import Refused
from runtime.engine import PackSpec, RuleSpec
from runtime.engine.policies import policies_on_deciding
from runtime.models import Conflict, Job

ROLES: Final = ("viewer", "operator", "admin")
ACTS: Final = {
    "view": "viewer",
    "submit": "operator",
    "decide": "operator",
    "approve": "operator",
    "defer": "operator",
    "propose_rule": "operator",
    "backtest": "operator",
    "add_fact": "operator",
    "cancel": "operator",
    "retry": "operator",
    "operate_tool": "operator",
    "save_view": "operator",
    "configure": "admin",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an act is allowed, and if not, why in a sentence."""

    allowed: bool
    why: str = ""

    def __bool__(self) -> bool:
        return self.allowed


ALLOWED = Verdict(True)


def role_of(user: Person) -> str:
    """viewer, operator or admin, the highest the person's groups give; "" for nobody."""
    if isinstance(user, AnonymousUser) or not user.is_active:
        return ""
    if name_of(user).startswith("@"):
        return ""  # the engine's own names: whoever is called @clock must not pass for the clock
    if getattr(user, "is_superuser", False):
        return "admin"
    groups = set(groups_of(user))
    return next((role for role in reversed(ROLES) if role in groups), "")


def groups_of(user: Any) -> list[str]:
    """Names of the person's groups, sorted; an admin counts as an operator too."""
    names = set(user.groups.values_list("name", flat=True)) if user.pk else set()
    if getattr(user, "is_superuser", False):
        names.add("admin")
    if "admin" in names:
        names.add("operator")
    return sorted(names)


def may(
    user: Person, act: str, job: Job | None = None, conflict: Conflict | None = None, key: str = ""
) -> Verdict:
    """Whether `user` may do `act`, here and now.

    A conflict, or the key of a slot of `job`, makes it particular: an approval or a decision needs a person whose word
    counts under the rule that asks for it, which is frozen in the job's pack.
    """
    if act not in ACTS:
        raise ValueError(f"unknown act {act!r}")
    role = role_of(user)
    if not role:
        return Verdict(False, "Sign in with an account that has a role (viewer, operator or admin).")
    needed = ACTS[act]
    if ROLES.index(role) < ROLES.index(needed):
        return Verdict(False, f"{_said(act)} needs the role {needed}; you are signed in as a {role}.")
    if act == "defer" and conflict is not None:
        act = (
            "approve" if conflict.kind == "hold" else "decide"
        )  # what it puts off is everybody's who may answer
    if act == "approve" and conflict is not None:
        return _may_approve(user, conflict)
    if act == "decide" and (conflict is not None or (job is not None and key)):
        return _may_decide(user, job, conflict, key)
    return ALLOWED


def _said(act: str) -> str:
    return {
        "view": "Reading",
        "submit": "Submitting a job",
        "decide": "Deciding",
        "approve": "Approving",
        "defer": "Putting a question off",
        "propose_rule": "Drafting a rule",
        "backtest": "Trying a rule on past jobs",
        "add_fact": "Adding a fact",
        "cancel": "Cancelling a job",
        "retry": "Trying again",
        "operate_tool": "Tripping or resetting a tool",
        "save_view": "Saving or deleting a view",
        "configure": "Configuring",
    }[act]


def _may_approve(user: Any, conflict: Conflict) -> Verdict:
    """A word counts if it counts under any approval rule that is about the key; the rule that holds it says why not."""
    if conflict.kind != "hold":
        return ALLOWED  # there is nothing to approve; the action says so
    pack = PackSpec.from_json(conflict.job.frozen_spec())
    rules = [r for r in pack.rules if r.kind == "approval" and r.enabled and r.covers(conflict.key)]
    rules.sort(key=lambda r: r.name != conflict.rule)
    if not rules:
        return Verdict(False, "No approval rule is about this slot any more.")
    is_submitter = _is_submitter(user, pack, conflict.job)
    verdicts = [_counts_under(rule, user, is_submitter) for rule in rules]
    return next((v for v in verdicts if v), verdicts[0])


def _may_decide(user: Any, job: Job | None, conflict: Conflict | None, key: str) -> Verdict:
    """A decision needs a say under every operator rule that asks for it; the rule that refuses it says why."""
    if conflict is not None:
        job, key = conflict.job, conflict.key
    assert job is not None
    pack = PackSpec.from_json(job.frozen_spec())
    is_submitter = _is_submitter(user, pack, job)
    rules = rules_that_ask(pack, key, conflict)
    if conflict is not None and conflict.kind == "hold":
        rules += rules_that_ask(
            pack, key
        )  # it would put aside what is held, and decide where nobody is asked to
    return next((v for v in (_counts_under(r, user, is_submitter) for r in rules) if not v), ALLOWED)


def rules_that_ask(pack: PackSpec, key: str, conflict: Conflict | None = None) -> list[RuleSpec]:
    """The rules under which a decision about a slot of `key` is made: that which asked, or still asks, the question
    `conflict`; for a slot nobody is asked about, every operator rule (see `runtime.engine.policies`)."""
    if conflict is not None and conflict.rule:
        return [r for r in pack.rules if r.name == conflict.rule]
    return policies_on_deciding(pack, key, None)


def _is_submitter(user: Any, pack: PackSpec, job: Job) -> bool:
    # By id as well: who renames an account is still the same person.
    return pack.submitter == name_of(user) or job.submitter_id == user.pk


def _counts_under(rule: RuleSpec, user: Any, is_submitter: bool) -> Verdict:
    if rule.params.get("exclude_submitter") and is_submitter:
        return Verdict(False, f"The rule “{rule.name}” asks for somebody other than the submitter.")
    wanted = list(rule.params.get("groups") or ())
    if wanted and not set(wanted) & set(groups_of(user)):
        return Verdict(False, f"The rule “{rule.name}” asks for somebody of {' or '.join(wanted)}.")
    return ALLOWED


def require(
    user: Person, act: str, job: Job | None = None, conflict: Conflict | None = None, key: str = ""
) -> None:
    """Raises Refused(code="forbidden") unless `may` allows it."""
    verdict = may(user, act, job, conflict, key)
    if not verdict:
        raise Refused(verdict.why, code="forbidden")
