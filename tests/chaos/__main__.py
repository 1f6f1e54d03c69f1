"""`make chaos`: the whole fault matrix, by seeds; a soak; or the mutations that must turn tests red.

    make chaos                                  # 40 seeds
    make chaos ARGS='--seeds 200'               # the figures of the README
    make chaos ARGS='--seed 17'                 # one seed again
    make chaos ARGS='--waves'                   # the pairs of `make test`
    make chaos ARGS='--soak 600'                # ten minutes, one fault every 5 s, 50 jobs a minute
    make chaos ARGS='--mutations'               # takes the safeguards out, one at a time

The last line is JSON. Exit status 0 only if nothing was violated.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.chaos import report
from tests.chaos.plans import POSTGRES_WAVES, TWO_WRITERS, WAVES, database_of

AT_A_TIME = 10  # runs on one installation


def main() -> int:
    """Runs what was asked for; gives the exit status."""
    asked = _read_arguments()
    if asked.mutations:
        from tests.chaos.mutations import run_mutations

        return run_mutations(asked.only)
    if asked.soak:
        return report.tell_soak(
            list(run_child({"database": asked.database, "soak": asked.soak, "seed": asked.seed or 1}))
        )
    with tempfile.TemporaryDirectory(prefix="cvg-chaos-") as directory:
        template = str(Path(directory) / "template.sqlite3")
        began = time.monotonic()
        found: list[dict[str, Any]] = []
        lock = threading.Lock()

        def run(group: dict[str, Any]) -> None:
            for outcome in run_child(group | {"template": template, "keep_logs": asked.logs}):
                with lock:
                    report.tell_run(outcome, len(found))
                    found.append(outcome)

        with ThreadPoolExecutor(asked.at_once) as pool:
            list(pool.map(run, _groups(asked)))
        return report.tell_all(found, time.monotonic() - began)


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--seeds", type=int, default=40, help="runs, of the seeds from --first on (default 40)"
    )
    parser.add_argument("--first", type=int, default=1, help="the first seed (default 1)")
    parser.add_argument("--seed", type=int, help="this seed alone")
    parser.add_argument(
        "--waves", nargs="*", type=int, help="the pairs of `make test`: all, or those of these waves"
    )
    parser.add_argument(
        "--at-once", type=int, default=1, help="installations side by side; runs mostly wait (default 1)"
    )
    parser.add_argument("--soak", type=int, default=0, metavar="SECONDS", help="a soak of so many seconds")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite", help="of the soak")
    parser.add_argument("--mutations", action="store_true", help="take safeguards out; tests must turn red")
    parser.add_argument("--only", default="", help="of the mutations, those whose name has this in it")
    parser.add_argument("--logs", default="", metavar="FILE", help="keep what all processes said")
    return parser.parse_args()


def _groups(asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """What each child is asked: runs on one database, few enough that each finds a young installation."""
    if asked.waves is not None:
        every = (*WAVES, *POSTGRES_WAVES, TWO_WRITERS)
        chosen = [w for w in every if w.seed in asked.waves or (not asked.waves and w.pairs)]
        runs = [({"wave": wave.seed}, wave.database) for wave in chosen]
    else:
        seeds = [asked.seed] if asked.seed else range(asked.first, asked.first + asked.seeds)
        runs = [({"seed": seed}, database_of(seed)) for seed in seeds]
    for start in range(0, len(runs), AT_A_TIME * 4):
        for database in ("sqlite", "postgresql"):
            mine = [run for run, on in runs[start : start + AT_A_TIME * 4] if on == database]
            most = AT_A_TIME if asked.waves is None else -(-len(mine) // asked.at_once)
            for at in range(0, len(mine), most or 1):
                yield {"database": database, "runs": mine[at : at + most]}


def run_child(asked: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """Runs of one installation, as they end. A child that dies is itself a finding."""
    root = Path(__file__).resolve().parents[2]
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.child", json.dumps(asked)],
        cwd=root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    told = 0
    try:
        assert child.stdout is not None
        for line in child.stdout:
            if line.startswith("{"):
                told += 1
                yield json.loads(line)
        if child.wait(120):
            left = asked.get("runs", [{}])[told:] or [{}]
            what = f"0: the process of the runs ended with status {child.returncode}"
            yield {"name": "harness", "plan": [], "violations": [what], "asked": left[0], "struck": {}}
    finally:
        if child.poll() is None:
            child.terminate()
            child.wait(30)


if __name__ == "__main__":
    sys.exit(main())
