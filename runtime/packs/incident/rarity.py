"""The common form of what detectors find: how often an ordinary series of this length would show as much.

The series is cut into blocks, at most 64. The largest figure of each block is what an ordinary stretch brings with it,
heavy tails and all; a Gumbel distribution is fitted to the logarithms of these maxima by their quartiles, so that a
quarter of the blocks may be strange without moving it (Gumbel, 1958, for the maxima of blocks). A figure y is then
expected E(y) times in the whole series by chance, and the confidence that it is no chance is 1 / (1 + E).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, expm1, log, log1p

from runtime.packs.incident.detectors import Reading

BLOCKS = 64
FEWEST_POINTS = 20  # a block
FEWEST_BLOCKS = 4
MEDIAN_TO_MODE = 0.36651  # of a Gumbel distribution: -ln ln 2
QUARTILES_TO_SCALE = 1.57253  # and the distance of its quartiles: ln ln 4 - ln ln 4/3
LEAST_SCALE = 0.15  # where all blocks are alike, a maximum half as large again is still no surprise
NOTICED = 0.25  # confidence from which a stretch is worth keeping
SUREST = 0.95  # nobody is surer than this from figures alone


@dataclass(frozen=True, slots=True)
class Stretch:
    """Points `first` to `last` (inclusive) that stand out, most at `peak`; `figure` is the detector's, signed."""

    first: int
    last: int
    peak: int
    figure: float
    confidence: float


def block_length(points: int) -> int:
    """Points a block; stretches nearer than this are one."""
    return max(FEWEST_POINTS, -(-points // BLOCKS))


def can_judge(reading: Reading) -> bool:
    """Whether there is enough to know what is usual: four blocks."""
    points = len(reading.figures)
    return points - reading.blind > (FEWEST_BLOCKS - 1) * block_length(points)


def find_stretches(reading: Reading) -> list[Stretch]:
    """What stands out, in order of time; none where the figures are all 0 or too few to tell."""
    sizes = [log1p(abs(figure)) for figure in reading.figures]
    block = block_length(len(sizes))
    maxima = sorted(max(sizes[at : at + block]) for at in range(reading.blind, len(sizes), block))
    if len(maxima) < FEWEST_BLOCKS or maxima[-1] == 0:
        return []
    fit = _fit(maxima)
    least = fit.size_at(NOTICED)
    places = [at for at in range(reading.blind, len(sizes)) if sizes[at] >= least]
    found = []
    for run in _join(places, block):
        peak = max(run, key=lambda place: (sizes[place], -place))
        sure = min(round(fit.confidence_of(sizes[peak]), 2), SUREST)
        found.append(Stretch(run[0], run[-1], peak, round(reading.figures[peak], 2), sure))
    return found


@dataclass(frozen=True, slots=True)
class _Gumbel:
    """The distribution of an ordinary block's largest size, and how many blocks there are."""

    mode: float
    scale: float
    blocks: int

    def confidence_of(self, size: float) -> float:
        expected = self.blocks * -expm1(-exp(-(size - self.mode) / self.scale))
        return 1 / (1 + expected)

    def size_at(self, confidence: float) -> float:
        """The size with that confidence; it must be above 1 / (1 + blocks)."""
        chance = (1 / confidence - 1) / self.blocks
        return self.mode - self.scale * log(-log1p(-chance))


def _fit(maxima: Sequence[float]) -> _Gumbel:
    scale = max((_quantile(maxima, 0.75) - _quantile(maxima, 0.25)) / QUARTILES_TO_SCALE, LEAST_SCALE)
    return _Gumbel(_quantile(maxima, 0.5) - MEDIAN_TO_MODE * scale, scale, len(maxima))


def _quantile(ordered: Sequence[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def _join(places: Sequence[int], nearer: int) -> list[list[int]]:
    runs: list[list[int]] = []
    for place in places:
        if runs and place - runs[-1][-1] <= nearer:
            runs[-1].append(place)
        else:
            runs.append([place])
    return runs
