"""A lineage as boxes: one a fact, one a voice where several speak, small ones for what is only counted."""

from __future__ import annotations

from typing import Protocol

from converge_site.fragments.lineage_picture import Box
from runtime.lineage import (
    Lineage,
    Node,
    Speaker,
    say_mark,
    say_node,
    say_place_of,
    say_rest,
    say_slot,
    say_speaker,
    say_value,
)

FOUND_BY = 12  # premises of one voice that are drawn


class Leads(Protocol):
    """Where boxes lead."""

    def slot(self, key: str, subject: str, at: int | None = None) -> str:
        """A slot's page."""
        ...

    def entry(self, seq: int) -> str:
        """An entry's page."""
        ...

    def key(self, key: str) -> str:
        """All facts of a key."""
        ...


def boxes_of(lineage: Lineage, links: Leads) -> list[Box]:
    """The boxes of a lineage, parents first."""
    return Boxes(lineage, links).add_all(lineage.top)


class Boxes:
    """Boxes as they are added; `where` is the place of each node that has one."""

    def __init__(self, lineage: Lineage, links: Leads, boxes: list[Box] | None = None) -> None:
        self.lineage = lineage
        self.links = links
        self.boxes = [] if boxes is None else boxes
        self.where: dict[int, int] = {}
        self._seen: list[tuple[int, int]] = []  # (box, seq of the node it also rests on)

    def add_all(self, root: Node, parent: int | None = None) -> list[Box]:
        """A node and all that it rests on, below `parent`."""
        self.where[root.seq] = self._add(_node_box(root, self.links), parent)
        todo = [root]
        while todo:
            todo = [child for node in todo for child in self.add_below(node, self.where[node.seq])]
        for box, seq in self._seen:
            if seq in self.where:
                self.boxes[box].also.append(self.where[seq])
        return self.boxes

    def add_step(self, root: Node, parent: int) -> None:
        """A node and what comes right of it, no further: of several voices, only that they speak."""
        place = self._add(_node_box(root, self.links), parent)
        if len(root.speakers) == 1:
            self.add_below(root, place)
            return
        for speaker in root.speakers:
            self._add(_voice_box(speaker, self.links), place)

    def add_below(self, node: Node, place: int) -> list[Node]:
        """What stands right of a node's box; gives the nodes among it."""
        for reason in node.reasons:
            if reason.kind in ("decision", "approval", "rule"):
                self._add(
                    _small(reason.text, "act", self.links.entry(reason.seq) if reason.seq else ""), place
                )
        is_one = len(node.speakers) == 1
        found: list[Node] = []
        for speaker in node.speakers:
            at = place if is_one else self._add(_voice_box(speaker, self.links), place)
            found += self._add_premises(speaker, at)
        return found

    def _add_premises(self, speaker: Speaker, place: int) -> list[Node]:
        found = []
        for link in speaker.links[:FOUND_BY]:
            node = self.lineage.nodes.get(link.seq)
            if link.kind == "node" and node is not None:
                self.where[node.seq] = self._add(_node_box(node, self.links), place)
                found.append(node)
            elif link.kind == "seen":
                self._seen.append((place, link.seq))
            elif link.kind == "back":
                words = f"↺ {say_slot(link.key, link.subject)}, as it was then"
                self._add(_small(words, "back", self.links.slot(link.key, link.subject, link.seq)), place)
        for rest in speaker.rest:
            self._add(_small(say_rest(rest), "more", self.links.key(rest.key) if rest.key else ""), place)
        if speaker.cut:
            self._add(_small("rests on more", "more", self.links.entry(speaker.seq)), place)
        return found

    def _add(self, box: Box, parent: int | None) -> int:
        box.parent = parent
        self.boxes.append(box)
        return len(self.boxes) - 1


def _small(text: str, classes: str, href: str) -> Box:
    return Box((text,), classes, text, href)


def _node_box(node: Node, links: Leads) -> Box:
    mark = say_mark(node)
    words = f"{say_node(node)}{f'; {mark}' if mark else ''}"
    speaker = node.speakers[0] if node.speakers else None
    who = "; ".join(r.text for r in node.reasons[:1]) if speaker is None else say_place_of(speaker)
    if len(node.speakers) > 1:
        who = f"{len(node.speakers)} voices"
    state = "does not stand any more" if node.fallen else "provisional" if node.provisional else ""
    return Box(
        (say_slot(*node.slot), _what(node), ": ".join(filter(None, [state, who]))),
        _classes(node),
        words,
        links.slot(*node.slot),
    )


def _what(node: Node) -> str:
    if node.status != "fact":
        return {"contested": "contested", "held": "waits for approval"}.get(node.status, "nothing stands")
    sure = "" if node.confidence in (None, 1.0) else f" · {node.confidence:g}"
    return f"{say_value(node.value, 33 - len(sure))}{sure}"


def _classes(node: Node) -> str:
    if node.fallen:
        return "fallen"
    if node.provisional:
        return "provisional"
    if node.status != "fact":
        return "open"
    if node.speakers and all(speaker.agent == "@seed" for speaker in node.speakers):
        return "seed"
    by_people = any(r.kind == "decision" for r in node.reasons) or (
        node.speakers and all(speaker.agent == "@person" for speaker in node.speakers)
    )
    return "person" if by_people else "fact"


def _voice_box(speaker: Speaker, links: Leads) -> Box:
    sure = "" if speaker.confidence is None else f" · {speaker.confidence:g}"
    what = f"{say_value(speaker.value, 33 - len(sure))}{sure}"
    classes = "seed" if speaker.agent == "@seed" else "person" if speaker.agent == "@person" else "voice"
    verb = "rules" if speaker.ruling else "says"
    words = say_speaker(speaker, with_value=True)
    return Box((f"{say_place_of(speaker)}", f"{verb} {what}"), classes, words, links.entry(speaker.seq))
