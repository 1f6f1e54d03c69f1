"""Boxes and the lines between them as a drawing: from left to right, what a thing rests on stands right of it.

SVG on the server. Parents are level with their first child, so the thing that is explained stands top left and is seen
first however far the picture reaches. Boxes come parents first; two passes over them place any depth without recursion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from converge_site.fragments.numbers import n

WIDTH, HEIGHT, SMALL = 236, 58, 26
GAP_X, GAP_Y, EDGE = 44, 10, 6
LONGEST = 33
CROSSING = 24  # lines to boxes that have another parent: more would be a tangle


@dataclass(slots=True)
class Box:
    """One thing. `lines` are one to three, the first its name; `parent` and `also` are places in the list of boxes.

    `words` says all of it, for who cannot see it or wants it whole.
    """

    lines: tuple[str, ...]
    classes: str
    words: str
    href: str = ""
    parent: int | None = None
    also: list[int] = field(default_factory=list)
    column: int = 0
    x: float = 0.0
    y: float = 0.0
    span: float = 0.0  # the height of it and all that hangs on it

    @property
    def height(self) -> int:
        """A box of one line is a small one."""
        return SMALL if len(self.lines) == 1 else HEIGHT

    @property
    def rect(self) -> dict[str, str]:
        """The rectangle's attributes."""
        return {"x": n(self.x), "y": n(self.y), "width": n(WIDTH), "height": n(self.height), "rx": "5"}

    @property
    def texts(self) -> list[dict[str, str]]:
        """Each line with its place, cut to fit."""
        classes = ("name", "what", "who") if len(self.lines) > 1 else ("small",)
        return [
            {
                "text": text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…",
                "class": name,
                "x": n(self.x + 9),
                "y": n(self.y + 17 + 16 * place),
            }
            for place, (text, name) in enumerate(zip(self.lines, classes, strict=False))
        ]


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line from a box to what it rests on; `crossing` if that box has another parent."""

    path: str
    crossing: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything the template draws; lengths in px."""

    width: int
    height: int
    boxes: list[Box]
    strokes: list[Stroke]
    words: str


def draw_boxes(boxes: Sequence[Box], words: str) -> Picture:
    """Places the boxes. A parent comes before its children in the list."""
    children: list[list[Box]] = [[] for _ in boxes]
    for box in boxes:
        if box.parent is not None:
            children[box.parent].append(box)
            box.column = boxes[box.parent].column + 1
    for place in range(len(boxes) - 1, -1, -1):
        below = sum(child.span for child in children[place]) + GAP_Y * max(0, len(children[place]) - 1)
        boxes[place].span = max(boxes[place].height, below)
    for place, box in enumerate(boxes):
        box.x = EDGE + box.column * (WIDTH + GAP_X)
        if box.parent is None:
            box.y = EDGE
        y = box.y
        for child in children[place]:
            child.y = y
            y += child.span + GAP_Y
    width = max((box.x + WIDTH for box in boxes), default=0) + (GAP_X if any(b.also for b in boxes) else EDGE)
    height = max((box.y + box.height for box in boxes), default=0) + EDGE
    return Picture(round(width), round(height), list(boxes), _strokes(boxes), words)


def _strokes(boxes: Sequence[Box]) -> list[Stroke]:
    own = [Stroke(_path(boxes[box.parent], box)) for box in boxes if box.parent is not None]
    others = [Stroke(_path(box, boxes[other]), True) for box in boxes for other in box.also]
    return own + others[:CROSSING]


def _path(source: Box, target: Box) -> str:
    """From a box's right side to the left side of one further right; around to the right side of any other."""
    x1, y1, y2 = source.x + WIDTH, source.y + source.height / 2, target.y + target.height / 2
    if target.column > source.column:
        x2, bend = target.x - 2, GAP_X / 2
        return f"M{n(x1)} {n(y1)}C{n(x1 + bend)} {n(y1)} {n(x2 - bend)} {n(y2)} {n(x2)} {n(y2)}"
    x2, bow = target.x + WIDTH + 2, GAP_X * 0.7
    return f"M{n(x1)} {n(y1)}C{n(x1 + bow)} {n(y1)} {n(x2 + bow)} {n(y2)} {n(x2)} {n(y2)}"
