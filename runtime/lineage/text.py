"""Lineage as lines: one walk serves the page's nested list, the text form and the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from runtime.lineage.tiers import Missing, TierWhy
from runtime.lineage.told import Lineage, Link, Node, Rest, Speaker, WhyNot
from runtime.lineage.words import (
    cut,
    printable,
    say_confidence,
    say_ground,
    say_mark,
    say_node,
    say_rest,
    say_slot,
    say_speaker,
    say_step,
    say_value,
)
from runtime.models import Job


@dataclass(frozen=True, slots=True)
class Line:
    """One sentence at a depth from 0. `kind`: node, speaker, reason, step, link, rest, cut. `seq` is the entry it is
    about, 0 for none; `node`, `link`, `rest` and `speaker` are what it tells of, `reason` the kind of a reason."""

    depth: int
    kind: str
    text: str
    seq: int = 0
    node: Node | None = None
    link: Link | None = None
    rest: Rest | None = None
    speaker: Speaker | None = None
    reason: str = ""


def lines_of(lineage: Lineage) -> list[Line]:
    """Why, as lines below the slot itself; every node is told once, where it is met first."""
    return list(_walk(lineage, lineage.top, with_top=False))


def lines_from(lineage: Lineage, root: Node) -> list[Line]:
    """The same for any node, beginning with itself."""
    return list(_walk(lineage, root, with_top=True))


def _walk(lineage: Lineage, root: Node, with_top: bool) -> Iterator[Line]:
    # A stack of what is still to be told, not recursion: a graph may be as deep as somebody asks for.
    todo: list[Line] = [_node_line(root, 0)] if with_top else list(reversed(_below(root, 0)))
    while todo:
        line = todo.pop()
        yield line
        if line.kind == "node" and line.node is not None:
            todo += reversed(_under(lineage, line.node, line.depth + 1))
        elif line.kind == "speaker" and line.speaker is not None:
            todo += reversed(_premises(lineage, line.speaker, line.depth + 1))


def _node_line(node: Node, depth: int) -> Line:
    """A node; where one voice says it, with that voice in the same sentence."""
    mark = say_mark(node)
    parts = [say_node(node), *([mark] if mark else [])]
    if _has_one_voice(node):
        speaker = node.speakers[0]
        told = replace(speaker, confidence=None) if speaker.confidence == node.confidence else speaker
        parts.append(_speaker_text(told, with_value=False))
    return Line(depth, "node", "; ".join(parts), node.seq, node=node)


def _has_one_voice(node: Node) -> bool:
    return len(node.speakers) == 1 and node.status == "fact"


def _under(lineage: Lineage, node: Node, depth: int) -> list[Line]:
    """What comes below a node's own line."""
    if _has_one_voice(node):
        return [*_reason_lines(node, depth), *_premises(lineage, node.speakers[0], depth)]
    return _below(node, depth)


def _below(node: Node, depth: int) -> list[Line]:
    """Why it stands, and who says it."""
    many = node.status != "fact"
    lines = [
        Line(depth, "speaker", _speaker_text(speaker, many), speaker.seq, speaker=speaker)
        for speaker in node.speakers
    ]
    return [*_reason_lines(node, depth), *lines]


def _reason_lines(node: Node, depth: int) -> list[Line]:
    lines = []
    for reason in node.reasons:
        lines.append(Line(depth, "reason", reason.text, reason.seq, reason=reason.kind))
        if len(reason.trace) > 1 or reason.kind == "question":
            lines += [Line(depth + 1, "step", say_step(step)) for step in reason.trace]
    return lines


def _speaker_text(speaker: Speaker, with_value: bool) -> str:
    ground = say_ground(speaker)
    evidence = ", ".join(
        f"{cut(name, 40)} {say_value(value)}" for name, value in list(speaker.evidence.items())[:4]
    )
    told = f"; evidence: {evidence}" if evidence else ""
    if speaker.cut and not (speaker.links or speaker.rest):
        ground = "rests on more, not followed here"
    return f"{say_speaker(speaker, with_value)}{told}{f'; {ground}' if ground else ''}"


def _premises(lineage: Lineage, speaker: Speaker, depth: int) -> list[Line]:
    lines = [_link_line(lineage, link, depth) for link in speaker.links]
    lines += [Line(depth, "rest", say_rest(rest), rest=rest) for rest in speaker.rest]
    if speaker.cut and speaker.links:
        lines.append(Line(depth, "cut", "and more that is not followed here", speaker.seq))
    return lines


def _link_line(lineage: Lineage, link: Link, depth: int) -> Line:
    node = lineage.nodes.get(link.seq)
    if link.kind == "node" and node is not None:
        return _node_line(node, depth)
    name = say_slot(link.key, link.subject)
    text = {
        "seen": f"{name} (also in this list)",
        "back": f"{name} as it was then: a loop, not followed",
    }.get(link.kind, "an entry since which no fact stood")
    return Line(depth, "link", text, link.seq, link=link)


def text_of(job: Job, lineage: Lineage) -> str:
    """The whole lineage as plain text, a sentence a line."""
    top = lineage.top
    title = "Why it stands" if top.status == "fact" else f"Why nothing stands: {say_node(top)}"
    out = [say_node(top, 1000)]
    if say_mark(top):
        out.append(say_mark(top))
    since = f"since #{top.seq}, cycle {top.cycle}; " if top.seq else ""
    out.append(f"{since}job {job.pk}{f' ({job.title})' if job.title else ''}, as of entry {lineage.at}")
    out += ["", title, *(_bullet(line) for line in lines_of(lineage))]
    if lineage.is_cut:
        out.append(f"Told {lineage.depth} levels deep.")
    if lineage.why_not:
        out += ["", "Why not"]
        for row in lineage.why_not:
            out.append(f"- {say_why_not(row)}")
            out += [f"  - {say_step(step)}" for step in row.trace]
        if lineage.more_why_not:
            out.append(f"- and {lineage.more_why_not:,} more, in the slot's entries")
    return "\n".join(printable(line) for line in out) + "\n"


def say_why_not(row: WhyNot) -> str:
    """One candidate that does not stand, in one sentence."""
    value = f"{say_value(row.value)}, " if row.has_value else ""
    sure = f" {say_confidence(row.confidence)}" if row.confidence is not None else ""
    return f"{value}{row.who}{sure} (#{row.seq}, cycle {row.cycle}): {row.text}"


def _bullet(line: Line) -> str:
    return f"{'  ' * line.depth}- {line.text}{_place(line)}"


def _place(line: Line) -> str:
    told = line.node is not None and line.node.speakers and line.node.seq == line.node.speakers[0].seq
    return f" (#{line.seq})" if line.kind in ("node", "link") and line.seq and not told else ""


def text_of_tier(job: Job, why: TierWhy) -> str:
    """Why a tier is reached or not, as plain text."""
    top = why.top
    reached = "is reached" if why.is_reached else "is not reached"
    out = [f"tier {top.number}, {top.name}, {reached}", f"job {job.pk}, as of entry {why.at}"]
    for tier in reversed(why.tiers):
        out += ["", f"Tier {tier.number}, {tier.name}", tier.text]
        for one in tier.missing:
            out += _missing_lines(one)
        out += [f"- {proof.agent}: {proof.text}" for proof in tier.proof]
    if why.stopped:
        out += ["", "Why the run stopped"]
        for one in why.stopped:
            out += _missing_lines(one)
    return "\n".join(printable(line) for line in out) + "\n"


def _missing_lines(one: Missing) -> list[str]:
    out = [f"- {one.text}", *(f"  - {note}" for note in one.notes)]
    if one.lineage is not None:
        out += [f"  {_bullet(line)}" for line in lines_of(one.lineage)]
        out += [f"  - {say_why_not(row)}" for row in one.lineage.why_not[:5]]
    return out
