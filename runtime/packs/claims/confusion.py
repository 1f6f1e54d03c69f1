"""Sources judged on labels that recur: what each says when the truth is this or that.

Dawid and Skene (1979) give every source a table of its own. With few claims a source such a table is noise, so
each is drawn, by strengths learned from the data (`shrink`), through three steps that ask for ever more claims:
one skill for all labels and the errors that are usual among all sources; then the labels the source leans to;
then its own table.
"""

from __future__ import annotations

from collections.abc import Sequence

from runtime.packs.claims.shrink import learn_strength, shrink

Matrix = list[list[float]]
PRIOR_CLAIMS = 4.0  # weight of "errors fall anywhere" against the errors seen
RAKING_STEPS = 2


def fit_confusions(counts: Sequence[Matrix], size: int) -> list[Matrix]:
    """`counts[source][truth][said]`, expected claims, become shares of `said` for each truth; rows sum to 1."""
    usual = _find_usual(counts, size)
    skill = learn_strength([_skill_item(count, usual) for count in counts])
    skilled = [_tilt(usual, count, usual, skill) for count in counts]
    lean = learn_strength(
        [
            (_said(count), _shares(_expected(count, matrix)))
            for count, matrix in zip(counts, skilled, strict=True)
        ]
    )
    drawn = [_rake(matrix, count, usual, skill, lean) for count, matrix in zip(counts, skilled, strict=True)]
    own = learn_strength(
        [
            rows
            for count, matrix in zip(counts, drawn, strict=True)
            for rows in zip(count, matrix, strict=True)
        ]
    )
    return [
        [shrink(row, expected, own) for row, expected in zip(count, matrix, strict=True)]
        for count, matrix in zip(counts, drawn, strict=True)
    ]


def _find_usual(counts: Sequence[Matrix], size: int) -> Matrix:
    """All sources together: one share of right answers for all labels, and where wrong ones fall."""
    total = [[sum(count[truth][said] for count in counts) for said in range(size)] for truth in range(size)]
    right = sum(total[label][label] for label in range(size))
    share = (right + 2) / (sum(map(sum, total)) + 2 + size)
    usual = []
    for truth, row in enumerate(total):
        wrong = sum(row) - row[truth] + PRIOR_CLAIMS
        usual.append(
            [
                share if said == truth else (1 - share) * (row[said] + PRIOR_CLAIMS / (size - 1)) / wrong
                for said in range(size)
            ]
        )
    return usual


def _right(count: Matrix) -> float:
    return sum(row[label] for label, row in enumerate(count))


def _said(count: Matrix) -> list[float]:
    return [sum(row[said] for row in count) for said in range(len(count))]


def _expected(count: Matrix, matrix: Matrix) -> list[float]:
    """What a source with this matrix would have said about the same slots."""
    sizes = [sum(row) for row in count]
    return [
        sum(size * row[said] for size, row in zip(sizes, matrix, strict=True)) for said in range(len(matrix))
    ]


def _expected_right(count: Matrix, matrix: Matrix) -> float:
    return sum(sum(row) * matrix[label][label] for label, row in enumerate(count))


def _shares(amounts: list[float]) -> list[float]:
    whole = sum(amounts)
    return [amount / whole for amount in amounts] if whole > 0 else amounts


def _skill_item(count: Matrix, usual: Matrix) -> tuple[list[float], list[float]]:
    whole = sum(map(sum, count))
    right = _right(count)
    return [right, whole - right], _shares(
        [_expected_right(count, usual), whole - _expected_right(count, usual)]
    )


def _tilt(matrix: Matrix, count: Matrix, usual: Matrix, strength: float) -> Matrix:
    """Multiply the diagonal so that the matrix is right as often as the source was, shrunk to the usual."""
    whole, right, expected = sum(map(sum, count)), _right(count), _expected_right(count, matrix)
    prior = strength * usual[0][0]
    other = strength - prior
    factor = ((right + prior) / (whole - right + other)) / ((expected + prior) / (whole - expected + other))
    return [
        _shares([share * factor if said == truth else share for said, share in enumerate(row)])
        for truth, row in enumerate(matrix)
    ]


def _rake(matrix: Matrix, count: Matrix, usual: Matrix, skill: float, lean: float) -> Matrix:
    """Multiply columns by how much more often the source gives a label than its skill explains; keep the skill."""
    said = _said(count)
    whole = sum(said)
    if whole <= 0:
        return matrix
    for _ in range(RAKING_STEPS):
        expected = _expected(count, matrix)
        factors = [
            (seen + lean * amount / whole) / (amount + lean * amount / whole)
            for seen, amount in zip(said, expected, strict=True)
        ]
        leaning = [
            _shares([share * factor for share, factor in zip(row, factors, strict=True)]) for row in matrix
        ]
        matrix = _tilt(leaning, count, usual, skill)
    return matrix
