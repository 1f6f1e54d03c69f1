"""`python -m tests.engine.record_golden`: records the golden journals of the newest engine version.

Random jobs are run, and the fewest kept that together show everything any of them showed: kinds of entries, outcomes,
what people did and what came of it, how jobs stopped, what tiers lacked. A file that is there is never written again:
what a version recorded once, it must merge again for ever. (One that nobody ever ran may be taken out by hand.)
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings

from runtime.engine import ENGINE_VERSION, Commit
from tests.engine.lockstep import run_engine
from tests.engine.packs_strategy import Case, cases, circles

GOLDEN = Path(__file__).parent / "golden"
EXAMPLES = 400
# Fields of entries whose values are names from closed lists; of all others only their presence counts.
NAMED = (
    "kind",
    "action",
    "how",
    "act",
    "result",
    "reached",
    "now",
    "what",
    "cls",
    "unfounded",
    "silenced",
    "outside",
)
SHORT = 60_000  # bytes of a journal that is worth keeping


def path_of(version: int) -> Path:
    """Where the golden journals of a version lie."""
    return GOLDEN / f"journals_{version}.json"


def features(entry: dict[str, Any]) -> Iterator[str]:
    """What an entry shows of the engine: its shape, and each closed name in it."""
    kind = entry["kind"]
    yield f"{kind}({','.join(sorted(entry))})"
    if kind == "stop":
        yield f"stop {entry['reason']}"
    for name, value in entry.items():
        if name in NAMED:
            yield f"{kind}.{name}={value}"
        elif name in ("causes", "gaps", "failed", "marks") and value:
            yield from (f"{kind}.{name}:{part}" for row in value for part in features_of_row(row))


def features_of_row(row: dict[str, Any]) -> Iterator[str]:
    """The same of a gap, a cause, a failure or a mark."""
    yield f"({','.join(sorted(row))})"
    yield from (f"{name}={row[name]}" for name in NAMED if name in row)


def draw() -> list[Case]:
    """Random cases of both sorts, the same each time with the same Hypothesis."""
    found: list[Case] = []

    @settings(
        max_examples=EXAMPLES,
        phases=[Phase.generate],
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases(), circles())
    def collect(one: Case, other: Case) -> None:
        found.extend((one, other))

    collect()
    return found


def written(case: Case, commits: list[Commit]) -> dict[str, Any]:
    """One job as it is kept: the pack, and its cycles as a bundle has them."""
    cycles = [
        {
            "number": commit.number,
            "first_seq": commit.first_seq,
            "digest": commit.digest,
            "entries": [entry.body.decode() for entry in commit.entries],
        }
        for commit in commits
    ]
    return {"pack": case.pack.to_json(), "cycles": cycles}


def shown_by(journal: dict[str, Any]) -> set[str]:
    """All that a journal shows."""
    bodies = [json.loads(body) for cycle in journal["cycles"] for body in cycle["entries"]]
    return {feature for body in bodies for feature in features(body)}


def choose(journals: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Few journals that show all that any shows: again and again the one that shows most of the rest by its length."""
    shows = [(journal, shown_by(journal), len(json.dumps(journal))) for journal in journals]
    shows = [row for row in shows if row[2] < SHORT]
    wanted = set().union(*(shown for _, shown, _ in shows))
    chosen = []
    while wanted:
        journal, shown, _ = max(shows, key=lambda row: len(row[1] & wanted) / (2000 + row[2]))
        chosen.append(journal)
        wanted -= shown
    return chosen


def main() -> None:
    """Draws, runs, chooses, writes."""
    path = path_of(ENGINE_VERSION)
    if path.exists():
        sys.exit(f"{path} is there. What version {ENGINE_VERSION} recorded, it must merge again.")
    journals = choose([written(case, run_engine(case)[1]) for case in draw()])
    lines = ",\n".join(json.dumps(journal, ensure_ascii=False, separators=(",", ":")) for journal in journals)
    path.write_text(f'{{"engine_version":{ENGINE_VERSION},"journals":[\n{lines}\n]}}\n', encoding="utf-8")
    print(f"{path}: {len(journals)} journals, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
