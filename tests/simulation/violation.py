"""What a simulation finds."""


class Violation(AssertionError):
    """An invariant of PITFALLS.md does not hold; `number` is its number there, 0 for none of them."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(f"invariant {number}: {text}" if number else text)
        self.number = number
