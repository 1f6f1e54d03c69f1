"""Why not: what was said about a slot, or ruled, and does not stand there."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

from runtime.lineage.story import Act, Past, Said, Story
from runtime.lineage.told import Step, WhyNot
from runtime.lineage.words import cut, say_by, say_decider, say_place, say_reason, say_value, say_who

SHOWN = 40


def tell_why_not(story: Story) -> tuple[list[WhyNot], int]:
    """What does not stand: first what is still said, strongest first; then what is past, newest first. And how many
    more there are beyond SHOWN."""
    losing, rulings = _losing(story), _rulings_in_vain(story)
    found = [*_tell_losing(story, losing[:SHOWN]), *(_in_vain(said) for said in rulings[:SHOWN])]
    past = [*_past(story), *_undone(story), *_unheard(story)]
    found += sorted(past, key=lambda row: -row.seq)
    return found[:SHOWN], max(0, len(losing) + len(rulings) + len(past) - SHOWN)


def _losing(story: Story) -> list[Said]:
    """What is still said and does not stand, strongest first."""
    told = stand_or_ask(story)
    return [said for raw, voices in story.sides().items() if raw not in told for said in voices]


def _tell_losing(story: Story, losing: Sequence[Said]) -> Iterator[WhyNot]:
    trace = story.trace
    lost = _why_it_lost(story) if losing else ""
    for said in losing:
        outcome, text = _why_it_does_not_stand(story, said, lost)
        # Of many that lost to one rule, the first tells what all rules said.
        yield _row(said, outcome, text, current=True, trace=trace if outcome == "lost" else ())
        trace = () if outcome == "lost" else trace


def _rulings_in_vain(story: Story) -> list[Said]:
    stands = story.raw
    return [said for said in story.rulings.values() if said.raw != stands] if len(story.sides()) > 1 else []


def _in_vain(said: Said) -> WhyNot:
    return _row(said, "lost", f"{say_who(said.agent)} ruled so, and its ruling does not apply", current=True)


def stand_or_ask(story: Story) -> Container[bytes]:
    """The values that are told with the slot itself: what stands; where nothing does, what is asked or all."""
    if story.raw is not None:
        return {story.raw}
    if story.status == "held" and story.asked is not None:
        return {story.asked.raw}
    return story.sides()


def _why_it_lost(story: Story) -> str:
    """The rule by which another side won; "" if none did."""
    return say_decider(story.trace, [voices[0].confidence or 0 for voices in story.sides().values()])


def _why_it_does_not_stand(story: Story, said: Said, lost: str) -> tuple[str, str]:
    decision, refused = story.decision, story.refusals.get(said.raw)
    if refused is not None:
        return "refused", f"{say_by(refused.by)} refused this very value{_given(refused)}"
    if decision is not None:
        return "overruled", f"overruled: {_say_decision(decision)}"
    if lost:
        return "lost", f"lost: another side won by {lost}"
    return "lost", f"lost: {cut(said.reason) or 'another side stands'}"


def _say_decision(act: Act) -> str:
    what = "that nothing stands" if act.none else say_value(act.value)
    return f"{say_by(act.by)} decided {what}{_given(act)}"


def _given(act: Act) -> str:
    return f"{say_reason(act.reason)} {say_place(act.seq, act.cycle)}"


def _past(story: Story) -> Iterator[WhyNot]:
    """Statements that ended, and are not said again since. What happened to a voice often in one way is one row, the
    latest, which counts the others."""
    alike: dict[tuple[object, ...], list[Past]] = {}
    for past in story.past:
        said = past.said
        voices = story.rulings if said.ruling else story.said
        again = voices.get((said.agent, said.item))
        if again is not None and again.raw == said.raw:
            continue
        about = () if past.how == "replaced" else (said.raw, past.reason)
        alike.setdefault((past.how, said.agent, said.item, said.ruling, *about), []).append(past)
    for rows in alike.values():
        often = f"; {len(rows) - 1:,} more like it before" if len(rows) > 1 else ""
        yield _row(rows[-1].said, rows[-1].how, f"{_how_it_ended(rows[-1])}{often}")


def _how_it_ended(past: Past) -> str:
    if past.how == "rejected":
        rule, reason = past.said.rule, past.reason
        by = f' by constraint "{rule}"' if rule else ""
        return f"rejected{by}: {cut(reason.removeprefix(f'{rule}: '))}"
    place = say_place(past.seq, past.cycle)
    if past.how == "withdrawn":
        return f"withdrawn {place}: {cut(past.reason)}"
    return f"it said something else from then on {place}"


def _undone(story: Story) -> Iterator[WhyNot]:
    for act, undoing in story.undone:
        how = "undone" if undoing.act == "undo" else "replaced by another decision"
        text = f"{how} by {say_by(undoing.by)}{_given(undoing)}"
        yield WhyNot("undone", say_by(act.by), act.value, not act.none, None, text, act.seq, act.cycle)


def _unheard(story: Story) -> Iterator[WhyNot]:
    for act in story.unheard:
        if act.act not in ("decide", "approve", "refuse", "undo", "add_fact", "withdraw_fact", "expire"):
            continue
        text = f"sent “{act.act.replace('_', ' ')}”, not applied: {cut(act.message)}"
        has_value = act.act in ("decide", "add_fact") and not act.none
        yield WhyNot("unanswered", say_by(act.by), act.value, has_value, None, text, act.seq, act.cycle)


def _row(said: Said, outcome: str, text: str, current: bool = False, trace: tuple[Step, ...] = ()) -> WhyNot:
    return WhyNot(
        outcome=outcome,
        who=say_who(said.agent, said.item),
        value=said.value,
        has_value=said.has_value,
        confidence=said.confidence,
        text=text,
        seq=said.seq,
        cycle=said.cycle,
        current=current,
        trace=trace,
    )
