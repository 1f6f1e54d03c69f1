"""What comes of a trial on the test bench, in words."""

from __future__ import annotations

from dataclasses import dataclass

from converge_site.fragments.rule_words import look_of_rule, say_rule
from converge_site.fragments.words import Look
from runtime.bench import BenchSide, Refusal, Step, Verdict
from runtime.engine import RuleSpec


@dataclass(frozen=True, slots=True)
class StepView:
    """One rule in the order asked, with what it said of the sides."""

    rule: RuleSpec
    kind: Look
    result: Look
    why: str


@dataclass(frozen=True, slots=True)
class BenchView:
    """All of it: what stands and by whom, in `lead` and `because`; the sides, the rules asked, and who was refused."""

    look: Look
    lead: str
    because: str
    verdict: Verdict
    sides: tuple[BenchSide, ...]
    steps: list[StepView]
    refused: tuple[Refusal, ...]
    rules_asked: bool


_ENDS = {
    "stands": Look("done", "green", "stands"),
    "contested": Look("split", "amber", "contested"),
    "held": Look("hold", "amber", "held for approval"),
    "nothing": Look("dash", "grey", "nothing stands"),
}
_LEADS = {
    "stands": "This value stands.",
    "contested": "The sides disagree, and nothing stands.",
    "held": "This value would stand, and waits for approval.",
    "nothing": "Nothing is said, so nothing stands.",
}


def view_of(verdict: Verdict) -> BenchView:
    """A verdict as shown."""
    return BenchView(
        look=_ENDS[verdict.ending],
        lead=_LEADS[verdict.ending],
        because=_because(verdict),
        verdict=verdict,
        sides=verdict.sides,
        steps=[_step(step, verdict) for step in verdict.steps],
        refused=verdict.refused,
        rules_asked=any(step.asked for step in verdict.steps),
    )


def _because(verdict: Verdict) -> str:
    if verdict.ending == "nothing":
        return "Every candidate was refused." if verdict.refused else "Give at least one candidate."
    if verdict.ending == "contested":
        return _who_is_asked(verdict)
    decided = next((step.rule.name for step in verdict.steps if step.decided), "")
    how = f"“{decided}” decided for it." if decided else "All who speak agree, so no rule is asked."
    if verdict.held_by is None:
        return how
    message = f" They read: “{verdict.held_by.message}”" if verdict.held_by.message else ""
    return f"{how} “{verdict.held_by.name}” holds it: {_lower(say_rule(verdict.held_by))}{message}"


def _who_is_asked(verdict: Verdict) -> str:
    if verdict.waits_for:
        return (
            f"The agent {verdict.waits_for} would be asked; it is not run here. The rules below wait until it has "
            "ruled or abstained."
        )
    if verdict.people is not None:
        return f"“{verdict.people.name}” leaves it to people: {_lower(say_rule(verdict.people))}"
    if verdict.steps:
        return "No rule decides, and none says who is asked: any operator may decide."
    return "No rule is about this key, so it is left to any operator."


def _step(step: Step, verdict: Verdict) -> StepView:
    return StepView(step.rule, look_of_rule(step.rule.kind), _result(step, verdict), step.why)


def _result(step: Step, verdict: Verdict) -> Look:
    if step.decided:
        return Look("done", "green", "decided")
    if not step.asked:
        return Look("dash", "grey", "not asked")
    if verdict.people is not None and step.rule.name == verdict.people.name:
        return Look("person", "amber", "asks people")
    waits = verdict.waits_for and step.rule.params.get("agent") == verdict.waits_for
    if waits and step.rule.kind == "aggregation":
        return Look("merge", "blue", "would ask")
    return Look("down", "grey", "did not decide")


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
