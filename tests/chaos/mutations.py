"""Takes the safeguards out, one at a time, in a copy of the tree, and runs the tests that must turn red.

A check that cannot fail proves nothing. Exit status 0 only if every mutation turned each of its tests' files red, and
all are green without it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("manage.py", "pyproject.toml", "runtime", "converge_site", "templates", "static", "tests")


@dataclass(frozen=True)
class Mutation:
    """One safeguard, out. `before` stands in `file` exactly once; each of `tests` must fail without it."""

    name: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]


# "wave n" is a run of `make chaos ARGS='--waves n'`; anything else is pytest's.
MUTATIONS = (
    Mutation(
        "the epoch check of every append",
        "runtime/recording.py",
        'WHERE id = %s AND epoch = %s RETURNING {_HAS_MAIL}{_bound()}",\n            '
        "[*values.values(), tenure.job_id, tenure.epoch],",
        'WHERE id = %s RETURNING {_HAS_MAIL}{_bound()}",\n            [*values.values(), tenure.job_id],',
        ("tests/runtime/test_fencing.py", "wave 21"),
    ),
    Mutation(
        "the cursor on the server: a viewer that comes back is sent nothing of what it lacks",
        "converge_site/live/topics.py",
        "                else job_frame(after, self.cursor, self._rows_after(after), panels)",
        "                else job_frame(after, self.cursor, (), panels)",
        ("tests/web/test_live_sockets.py", "wave 4"),
    ),
    Mutation(
        "the cursor check in the page",
        "static/live.js",
        "    if (frame.after > last) { drop(); return; }",
        "",
        ("tests/web/test_lost_frames_journey.py",),
    ),
    Mutation(
        "the reconciler",
        "runtime/reconciler.py",
        "    return sum(enqueue_job(job_id) for job_id in due)",
        "    return 0",
        ("tests/runtime/test_reconciler.py", "wave 3"),
    ),
    Mutation(
        "record before merge",
        "runtime/tool_calls.py",
        "            stands = _connected(lambda: self._note_end(name, tool, recorded))\n        except DataError:",
        "            stands = recorded\n        except DataError:",
        ("tests/runtime/test_paid_once.py", "wave 3"),
    ),
)


def run_mutations(only: str = "") -> int:
    """Runs them all, or those whose name has `only` in it; prints a report. Gives the exit status."""
    found = []
    chosen = [mutation for mutation in MUTATIONS if only in mutation.name]
    with tempfile.TemporaryDirectory(prefix="cvg-mutated-") as directory:
        tree = Path(directory) / "tree"
        _copy(tree)
        for test in sorted({test for mutation in chosen for test in mutation.tests}):
            passed, seconds = _passes(tree, test)
            print(
                f"{'green' if passed else 'RED':<6} {test} ({seconds:.0f} s), with all safeguards", flush=True
            )
            if not passed:
                found.append({"mutation": "", "test": test, "red": True, "ok": False})
        for mutation in chosen:
            path = tree / mutation.file
            whole = path.read_text()
            if whole.count(mutation.before) != 1:
                print(
                    f"{mutation.name}: its place in {mutation.file} is not found; the mutation needs another look"
                )
                found.append({"mutation": mutation.name, "test": "", "red": False, "ok": False})
                continue
            path.write_text(whole.replace(mutation.before, mutation.after))
            for test in mutation.tests:
                passed, seconds = _passes(tree, test)
                said = "STAYS GREEN" if passed else "red, as it must be"
                print(f"without {mutation.name}: {said}: {test} ({seconds:.0f} s)", flush=True)
                found.append({"mutation": mutation.name, "test": test, "red": not passed, "ok": not passed})
            path.write_text(whole)
    wrong = [one for one in found if not one["ok"]]
    print(json.dumps({"mutations": len(chosen), "tests": len(found), "wrong": wrong}))
    return 1 if wrong or not chosen else 0


def _copy(tree: Path) -> None:
    tree.mkdir()
    leave = shutil.ignore_patterns("__pycache__", "*.pyc", "var")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=leave)
        else:
            shutil.copy(source, tree / name)


def _passes(tree: Path, test: str) -> tuple[bool, float]:
    """Whether a test passes in the copy. Raises RuntimeError if it could not be run at all."""
    began = time.monotonic()
    pytest = ["pytest", "-q", "-x", "-p", "no:cacheprovider", test]
    module = ["tests.chaos", "--waves", test.removeprefix("wave ")] if test.startswith("wave ") else pytest
    done = subprocess.run(
        [sys.executable, "-m", *module], cwd=tree, capture_output=True, text=True, timeout=900, check=False
    )
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{test} could not be run:\n{done.stdout[-3000:]}\n{done.stderr[-2000:]}")
    return done.returncode == 0, time.monotonic() - began
