"""What people and rules had to do with what a slot shows, as sentences."""

from __future__ import annotations

from runtime.lineage.story import Act, Story
from runtime.lineage.told import Reason
from runtime.lineage.words import say_approval, say_by, say_decider, say_place, say_reason, say_value


def reasons_of(story: Story) -> list[Reason]:
    """What people and rules had to do with it."""
    reasons: list[Reason] = []
    decision, sides = story.decision, story.sides()
    if decision is not None:
        what = " that nothing stands" if decision.none else ""
        reasons.append(Reason("decision", f"decided{what} by {_by(decision)}", decision.seq))
    elif story.status == "fact" and len(sides) > 1:
        decider = say_decider(story.trace, [voices[0].confidence or 0 for voices in sides.values()])
        if decider:
            reasons.append(Reason("rule", f"won by {decider}", 0, story.trace))
    if story.status == "fact":
        reasons += [
            Reason("approval", f"{say_approval(act.message, act.by)}{_given(act)}", act.seq)
            for act in _last_approvals(story)
        ]
    reasons += _questions(story)
    return reasons


def _questions(story: Story) -> list[Reason]:
    """Why nothing stands, where nothing does although something is said."""
    if story.status == "contested":
        asked = "no rule decides between them" if story.trace else "no rule is set for this key"
        return [Reason("question", f"{len(story.sides())} sides disagree, and {asked}", 0, story.trace)]
    asked_for = story.asked
    if story.status == "held" and asked_for is not None:
        text = f'{say_value(asked_for.value)} waits for approval under rule "{asked_for.rule}"'
        return [Reason("question", text, asked_for.seq)]
    if story.status == "empty":
        refused = [act for raw, act in story.refusals.items() if raw in story.sides()]
        return [Reason("decision", f"{say_value(a.value)} was refused by {_by(a)}", a.seq) for a in refused]
    return []


def _last_approvals(story: Story) -> list[Act]:
    """The latest approval by each person of the value that stands."""
    mine = {act.by: act for act in story.approvals if act.raw == story.raw}
    return list(mine.values())


def _by(act: Act) -> str:
    return f"{say_by(act.by)}{_given(act)}"


def _given(act: Act) -> str:
    return f"{say_reason(act.reason)} {say_place(act.seq, act.cycle)}"
