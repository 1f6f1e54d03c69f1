"""Lineage in words: plain sentences, the same on the page, in the text form and in the terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from runtime.engine.spec import CLOCK, OPERATOR, PERSON, SEED
from runtime.lineage.told import Node, Rest, Speaker

VALUE = 80
TEXT = 300


def say_value(value: Any, length: int = VALUE) -> str:
    """The value as JSON on one line, cut at `length` characters."""
    return cut(json.dumps(value, ensure_ascii=False, separators=(", ", ": ")), length)


def say_confidence(confidence: float | None) -> str:
    """0.9 as 0.90, 0.925 as 0.925; "" for none."""
    if confidence is None:
        return ""
    thousandths = round(confidence * 1000)
    return f"{thousandths / 1000:.3f}" if thousandths % 10 else f"{thousandths / 1000:.2f}"


def cut(text: str, length: int = TEXT) -> str:
    """At most `length` characters."""
    return text if len(text) <= length else text[: length - 1] + "…"


def say_who(agent: str, item: str = "") -> str:
    """A voice as people call it: "seed 3", "otto", "judge on ants"."""
    if agent == SEED:
        return f"seed {item}" if item else "a seed"
    if agent == PERSON:
        return item or "a person"
    if agent == OPERATOR:
        return "an operator"
    return f"{agent} on {cut(item, 80)}" if item else agent


def say_by(by: str) -> str:
    """Whoever decided."""
    return "the deadline" if by == CLOCK else by


def say_place_of(speaker: Speaker) -> str:
    """A voice and where it spoke, shortly: "judge on ants #4"."""
    return f"{say_who(speaker.agent, speaker.item)} #{speaker.seq}"


def say_approval(message: str, by: str) -> str:
    """What came of an approval, from the engine's "approved, 1 of 2": "approved by ada (1 of 2)"."""
    done, _, count = message.partition(", ")
    if done == "approved":
        return f"approved by {say_by(by)} ({count})" if count else f"approved by {say_by(by)}"
    return f"{message or 'let pass'}, by {say_by(by)}"


def say_reason(reason: Any) -> str:
    """The reason a person gave, in quotes with a colon before it; "" for none."""
    return f': "{cut(str(reason))}"' if reason else ""


def say_place(seq: int, cycle: int) -> str:
    """Where in the journal."""
    return f"(#{seq}, cycle {cycle})"


def say_slot(key: str, subject: str) -> str:
    """A slot."""
    return f"{key} / {cut(subject, 120)}"


def say_rule(step: Mapping[str, Any]) -> str:
    """The rule of a step of a trace."""
    return f'rule "{step.get("rule") or step.get("kind") or "?"}"'


def say_step(step: Mapping[str, Any]) -> str:
    """What one rule that was asked said."""
    why = f": {cut(str(step['why']))}" if step.get("why") else ""
    done = "decided" if step.get("decided") else "did not decide"
    return f"{say_rule(step)} {done}{why}"


def say_decider(trace: Sequence[Mapping[str, Any]], strengths: Sequence[float] = ()) -> str:
    """The rule of a trace that decided, with what it went by; "" if none did. `strengths` are those of the sides."""
    step = next((step for step in trace if step.get("decided")), None)
    if step is None:
        return ""
    why = str(step.get("why") or "")
    if step.get("kind") == "confidence" and len(strengths) > 1:
        first, second = sorted(strengths, reverse=True)[:2]
        why = f"{say_confidence(first)} against {say_confidence(second)}, {why}"
    return f"{say_rule(step)}{f': {cut(why)}' if why else ''}"


def say_node(node: Node, length: int = VALUE) -> str:
    """What a node shows: "topic / ants = 1, confidence 0.90"."""
    name = say_slot(node.key, node.subject)
    if node.status != "fact":
        return f"{name}: {STATUS_WORDS[node.status]}"
    sure = "" if node.confidence in (None, 1.0) else f", confidence {say_confidence(node.confidence)}"
    return f"{name} = {say_value(node.value, length)}{sure}"


def say_mark(node: Node) -> str:
    """What is the matter with a node: fallen, provisional, or nothing."""
    if node.fallen:
        return f"does not stand any more; {node.now or 'nothing stands there now'}"
    return "provisional: something it rests on does not stand any more" if node.provisional else ""


STATUS_WORDS = {
    "fact": "stands",
    "contested": "contested, no rule decides between the sides",
    "held": "waits for approval",
    "empty": "nothing stands",
}


def say_speaker(speaker: Speaker, with_value: bool = False) -> str:
    """Who says it and how surely, and the kind of ground it has: "said by judge on ants, 0.90 (#4, cycle 2)"."""
    who = say_who(speaker.agent, speaker.item)
    value = f"{say_value(speaker.value)} " if with_value else ""
    sure = "" if speaker.confidence in (None, 1.0) else f", {say_confidence(speaker.confidence)}"
    place = say_place(speaker.seq, speaker.cycle)
    if speaker.agent == SEED:
        return f"{value}given as {who}{sure} {place}"
    return f"{value}{'ruled' if speaker.ruling else 'said'} by {who}{sure} {place}"


def say_ground(speaker: Speaker) -> str:
    """What a statement rests on, as far as one sentence tells it."""
    if speaker.rests == "ground":
        return (
            "" if speaker.agent in (SEED, PERSON, OPERATOR) else "rests on nothing else: it names no premises"
        )
    if speaker.rests == "named":
        return (
            "rests on what it named" if speaker.links or speaker.rest or speaker.cut else "rests on nothing"
        )
    said = "said so again unchanged and " if speaker.again else ""
    return f"{said}rests on all that its run was shown in cycle {speaker.shown_in}"


def say_rest(rest: Rest) -> str:
    """Premises that are not told one by one."""
    of = (
        f" of `{rest.key}`{', a key of seeds' if rest.given else ''}"
        if rest.key
        else " premises that it named"
    )
    if rest.more == rest.count:
        text = f"{rest.count:,} {'fact' if rest.count == 1 else 'facts'}{of}"
    else:
        text = f"and {rest.more:,} more{of}"
    return f"{text}, {rest.fallen:,} of them changed since" if rest.fallen else text


def printable(text: str) -> str:
    """One line that a terminal shows as it is: control and direction characters are written out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
