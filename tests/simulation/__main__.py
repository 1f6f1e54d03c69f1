"""`python -m tests.simulation --seeds 1000`, or `--seed N` for one: prints what is broken, shortened, and how to see it
again. Exit status 1 if anything is."""

from __future__ import annotations

import argparse
import sys
import time


def main() -> int:
    """Reads the arguments, sets Django up, plays."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="play this one, and print what happens")
    parser.add_argument("--seeds", type=int, default=1000, help="how many to play (default 1000)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--length", type=int, default=0, help="acts of a seed before all heals (default 120)")
    parser.add_argument("--mutation", default="", help="break the runtime on purpose; see mutations.py")
    asked = parser.parse_args()
    _set_up()
    from tests.simulation.injection import injected
    from tests.simulation.mutations import broken
    from tests.simulation.playing import LENGTH, play, report, shorten

    began, longest = time.monotonic(), 0.0
    with injected() as bench, broken(asked.mutation):
        if asked.seed is not None:
            done = play(bench, asked.seed, length=asked.length or LENGTH)
            print(report(shorten(bench, done) if done.violation else done))
            return int(done.violation is not None)
        for number, seed in enumerate(range(asked.first, asked.first + asked.seeds), 1):
            done = play(bench, seed, length=asked.length or LENGTH)
            longest = max(longest, done.longest_idle)
            if done.violation:
                print(report(shorten(bench, done)))
                print(f"found by seed number {number}, after {time.monotonic() - began:.1f} s")
                return 1
            if number % 1000 == 0:
                print(f"{number} seeds, {number / (time.monotonic() - began):.0f} a second", flush=True)
    seconds = time.monotonic() - began
    print(
        f"{asked.seeds} seeds, nothing broken; {asked.seeds / seconds:.0f} a second, longest idle {longest:.1f} s"
    )
    return 0


def _set_up() -> None:
    import os

    import tests.environment  # noqa: F401

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "converge_site.settings")
    import django

    django.setup()


if __name__ == "__main__":
    sys.exit(main())
