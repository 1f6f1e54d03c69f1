"""Sources that repeat each other: found from the claims, so that a majority of echoes counts as one voice.

A pair is suspect when, over the disputed slots both speak about, it differs far less than either differs from
everybody else, and that over so many slots that chance is no explanation. Sources that agree because they are
excellent still differ now and then; when they are nevertheless taken for echoes, the one voice left to them
earns a high reliability, so little is lost. The other way round a group of copies that is taken for
independent sources confirms itself in every round, which is why this is settled before the first round.
Compare Dong, Berti-Equille and Srivastava, "Integrating conflicting data: the role of source dependence"
(VLDB 2009), whose evidence, shared false values, needs the truth that is only to be found.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from math import log

SUSPICIOUS_SHARE = 0.15  # of the differences expected
DOUBT = (
    4.0  # no differences where d are expected has chance e^-d; times the pairs looked at, at most e^-DOUBT
)
MOST_COMPARISONS = 400_000  # pairs of claims looked at, in slot order; about 0.2 s


def find_echo_groups(said: Sequence[Sequence[tuple[int, str]]]) -> tuple[tuple[int, ...], ...]:
    """Groups of sources (two or more each, sorted) that echo each other.

    `said` holds, for each slot, (source, label) pairs in source order, one for each source.
    """
    common, differ = _compare_pairs(said)
    among: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for (first, second), count in common.items():
        for source in (first, second):
            among[source][0] += count
            among[source][1] += differ.get((first, second), 0)
    usual = {source: different / count for source, (count, different) in among.items()}
    needed = log(max(len(common), 1)) + DOUBT
    links = []
    for pair, count in common.items():
        expected = count * min(usual[pair[0]], usual[pair[1]])
        if expected >= needed and differ.get(pair, 0) <= SUSPICIOUS_SHARE * expected:
            links.append(pair)
    return _join(sorted(links))


def _compare_pairs(
    said: Sequence[Sequence[tuple[int, str]]],
) -> tuple[dict[tuple[int, int], int], dict[tuple[int, int], int]]:
    common: dict[tuple[int, int], int] = defaultdict(int)
    differ: dict[tuple[int, int], int] = defaultdict(int)
    left = MOST_COMPARISONS
    for rows in said:
        first_label = rows[0][1]
        if all(label == first_label for _, label in rows):
            continue
        left -= len(rows) * len(rows) // 2
        if left < 0:
            break
        for place, (source, label) in enumerate(rows):
            for other, said_too in rows[place + 1 :]:
                common[source, other] += 1
                if said_too != label:
                    differ[source, other] += 1
    return common, differ


def _join(links: Sequence[tuple[int, int]]) -> tuple[tuple[int, ...], ...]:
    head: dict[int, int] = {}

    def find(source: int) -> int:
        while head.get(source, source) != source:
            source = head[source]
        return source

    for first, second in links:
        low, high = sorted((find(first), find(second)))
        head[high] = low
        head.setdefault(low, low)
    groups: dict[int, list[int]] = defaultdict(list)
    for source in sorted({source for link in links for source in link}):
        groups[find(source)].append(source)
    return tuple(tuple(groups[key]) for key in sorted(groups))
