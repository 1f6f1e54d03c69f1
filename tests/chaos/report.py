"""What a run of chaos prints: a line a run, a table at the end, a line to repeat each failure, and JSON."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from rich.console import Console
from rich.table import Table

console = Console(highlight=False, soft_wrap=True)

SUMS = ("jobs", "posts", "unanswered", "takeovers", "deaths", "reconnects", "gaps")


def repro_of(outcome: dict[str, Any]) -> str:
    """The command that does it again."""
    asked = outcome.get("asked", {})
    if "seed" in asked:
        return f"make chaos ARGS='--seed {asked['seed']}'"
    if "wave" in asked:
        return f"make chaos ARGS='--waves {asked['wave']}'"
    return "make chaos"


def tell_run(outcome: dict[str, Any], number: int) -> None:
    """One line a run; what was violated, if anything, with the plan and how to see it again."""
    wrong = outcome["violations"]
    mark = "[red]VIOLATED[/red]" if wrong else "[green]ok[/green]"
    idle = outcome.get("longest", 0)
    about = (
        f"{outcome.get('jobs', 0)} jobs, {outcome.get('takeovers', 0)} takeovers, longest idle {idle:.1f} s"
    )
    console.print(
        f"{number + 1:>4}  {outcome['name']:<45} {mark}  {about}, {outcome.get('seconds', 0):.0f} s"
    )
    if wrong:
        for what in wrong[:20]:
            console.print(f"      {what}", style="red", markup=False)
        for line in outcome["plan"]:
            console.print(f"      {line}", markup=False)
        console.print(f"      again: {repro_of(outcome)}", markup=False)


def tell_all(found: list[dict[str, Any]], seconds: float) -> int:
    """The tables, and the JSON; gives the exit status."""
    struck: Counter[str] = Counter()
    for outcome in found:
        struck.update(outcome.get("struck", {}))
    sums = {name: sum(int(outcome.get(name, 0)) for outcome in found) for name in SUMS}
    wrong = [
        {"repro": repro_of(o), "violations": o["violations"], "plan": o["plan"]}
        for o in found
        if o["violations"]
    ]
    table = Table("fault", "times", title="Faults injected", title_justify="left")
    for name, times in sorted(struck.items()):
        table.add_row(name, str(times))
    console.print(table)
    figures: dict[str, Any] = {
        "runs": len(found),
        "seconds": round(seconds),
        "faults": sum(struck.values()),
        "kinds": len(struck),
        **sums,
        "recoveries": sums["takeovers"] + sums["deaths"] + sums["reconnects"],
        "longest_idle": max((o.get("longest", 0) for o in found), default=0),
        "longest_idle_after_healing": max((o.get("longest_after", 0) for o in found), default=0),
        "violations": sum(len(o["violations"]) for o in found),
    }
    for name, value in figures.items():
        console.print(f"{name.replace('_', ' '):<28} {value}")
    for one in wrong:
        console.print(f"again: {one['repro']}", style="red", markup=False)
    print(json.dumps(figures | {"by_kind": dict(struck), "failed": wrong, "all": found}))
    return 1 if wrong or not found else 0


def tell_soak(found: list[dict[str, Any]]) -> int:
    """What a soak came to."""
    if not found or "series" not in found[0]:
        console.print("The soak did not end.", style="red")
        for outcome in found:
            console.print(outcome, markup=False)
        return 1
    soak = found[0]
    table = Table(
        "process", "RSS at first, MB", "at last", "MB/min", "open files, most", "lived, s", title="Processes"
    )
    for row in soak["series"]:
        table.add_row(*(str(row[name]) for name in ("name", "first", "last", "slope", "files", "lived")))
    console.print(table)
    for name, value in soak.items():
        if name not in ("series", "violations", "struck", "plan"):
            console.print(f"{name.replace('_', ' '):<28} {value}", markup=False)
    for name, times in sorted(soak["struck"].items()):
        console.print(f"  {name:<55} {times}", markup=False)
    for what in soak["violations"]:
        console.print(what, style="red", markup=False)
    print(json.dumps(soak))
    return 1 if soak["violations"] else 0
