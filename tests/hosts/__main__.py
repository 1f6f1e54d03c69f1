"""`python -m tests.hosts [--json] [NUMBER ...]`: troubles between hosts, all or those of these numbers.

Exit status 1 if something does not hold, 2 if this machine does not let us make hosts.
"""

from __future__ import annotations

import argparse
import json
import sys

from tests.hosts.house import Hosts
from tests.hosts.network import why_not
from tests.hosts.trouble import TROUBLES, Figures, meet


def main() -> int:
    """Runs, prints a line for each trouble."""
    parser = argparse.ArgumentParser(prog="python -m tests.hosts", description=__doc__)
    parser.add_argument("numbers", nargs="*", type=int, help=f"which troubles, from 1 to {len(TROUBLES)}")
    parser.add_argument("--json", action="store_true", help="one object on the last line")
    asked = parser.parse_args()
    if reason := why_not():
        print(f"No hosts can be made here: {reason}.")
        return 2
    chosen = [TROUBLES[number - 1] for number in asked.numbers] or list(TROUBLES)
    found: list[Figures] = []
    with Hosts() as hosts:
        for trouble in chosen:
            figures = meet(hosts, trouble)
            found.append(figures)
            print(describe(figures), flush=True)
            if figures.violations:
                number = TROUBLES.index(trouble) + 1
                print(f"  again: python -m tests.hosts {number}", flush=True)
                print(hosts.said()[-20_000:], file=sys.stderr)
                break  # what is broken now would be blamed on the next
    if asked.json:
        print(json.dumps([figures.__dict__ for figures in found]))
    return int(any(figures.violations for figures in found))


def describe(figures: Figures) -> str:
    """A line for people, and one for each thing that does not hold."""
    parts = [f"{figures.name:<46}"]
    for name, value in (("taken over", figures.taken_over), ("noticed", figures.noticed)):
        parts.append(f"{name} {value:5.1f} s" if value is not None else " " * (len(name) + 8))
    parts.append(f"idle after healing {figures.idle_after:4.1f} s, in all {figures.seconds:4.0f} s")
    lines = ["  ".join(parts), *(f"  violated: {violation}" for violation in figures.violations)]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
