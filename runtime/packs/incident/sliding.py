"""A window that slides over values and knows its quantiles."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence

NORMAL_QUARTILES = 1.349  # distance of the quartiles of a normal distribution, in standard deviations


class SortedWindow:
    """Values in order of size; adding and dropping one costs a bisection and a short move."""

    __slots__ = ("_ordered",)

    def __init__(self, values: Sequence[float] = ()) -> None:
        self._ordered = sorted(values)

    def __len__(self) -> int:
        return len(self._ordered)

    def add(self, value: float) -> None:
        insort(self._ordered, value)

    def drop(self, value: float) -> None:
        del self._ordered[bisect_left(self._ordered, value)]

    def quantile(self, share: float) -> float:
        """The value below which about `share` of the window lies; the window must not be empty."""
        return self._ordered[int(share * (len(self._ordered) - 1))]

    def spread(self) -> float:
        """A standard deviation that a quarter of outliers on either side does not move."""
        return (self.quantile(0.75) - self.quantile(0.25)) / NORMAL_QUARTILES


def slide_centred(values: Sequence[float], width: int) -> Iterator[tuple[float, float]]:
    """(median, spread) of about `width` values around each place; fewer at the ends."""
    half = width // 2
    window = SortedWindow(values[:half])
    for place in range(len(values)):
        if place + half < len(values):
            window.add(values[place + half])
        if place - half > 0:
            window.drop(values[place - half - 1])
        yield window.quantile(0.5), window.spread()


def slide_behind(values: Sequence[float], width: int, lag: int) -> Iterator[tuple[float, float]]:
    """(median, spread) of the `width` values that end `lag` before each place; at the start, of the first ones."""
    first = values[: width + 1]
    window = SortedWindow(first)
    for place in range(len(values)):
        entering = place - lag
        if entering >= len(first):
            window.add(values[entering])
            window.drop(values[entering - len(first)])
        yield window.quantile(0.5), window.spread()


def smooth(values: Sequence[float], width: int) -> list[float]:
    """The mean of the last `width` values at each place; of fewer at the start."""
    means, total = [], 0.0
    for place, value in enumerate(values):
        total += value
        if place >= width:
            total -= values[place - width]
        means.append(total / min(place + 1, width))
    return means


def find_spread(values: Sequence[float]) -> float:
    """A robust standard deviation: from the quartiles, or, where these coincide, from the mean distance to the median.

    0 only if all are equal.
    """
    window = SortedWindow(values)
    if not len(window):
        return 0.0
    spread = window.spread()
    if spread > 0:
        return spread
    middle = window.quantile(0.5)
    return sum(abs(value - middle) for value in values) / len(values)
