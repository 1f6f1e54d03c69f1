"""Runs the benchmarks one after the other and prints what they found: a table, and one JSON object as the last line."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.bench.measure import PROJECT
from tests.bench.plan import BENCHES
from tests.bench.report import print_table

LONGEST_SECONDS = 3_600
ERROR_LINES = 15


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0 if every benchmark ran, whether or not its goals are met."""
    options = _parse(arguments)
    if options.list:
        for bench in BENCHES.values():
            print(f"{bench.name:15} {bench.about}")
        return 0
    record: dict[str, Any] = {
        "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "quick": options.quick,
        "machine": describe_machine(),
        "benchmarks": [run_bench(name, options.quick, options.home) for name in options.only or BENCHES],
    }
    target = options.json or options.home / "bench.json"
    target.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    print_table(record)
    print(f"Written to {target}")
    print(json.dumps(record, ensure_ascii=False))
    return 1 if any(bench["error"] for bench in record["benchmarks"]) else 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description="Measures what Converge costs."
    )
    parser.add_argument(
        "--quick", action="store_true", help="small sizes and few runs; the figures are rough"
    )
    parser.add_argument(
        "--only", action="append", choices=list(BENCHES), help="one benchmark; may be repeated"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="default: bench.json under CONVERGE_HOME")
    parser.add_argument("--list", action="store_true", help="the names of the benchmarks")
    options = parser.parse_args(arguments)
    options.home = Path(os.environ.get("CONVERGE_HOME") or PROJECT / "var").expanduser().resolve()
    options.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    return options


def describe_machine() -> dict[str, Any]:
    """What the figures depend on. `load` is the machine's when it began: near 0, or the figures are rough."""
    return {
        "system": platform.platform(),
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "load": [round(part, 2) for part in os.getloadavg()],
    }


def run_bench(name: str, quick: bool, home: Path) -> dict[str, Any]:
    """One benchmark in a process of its own, on the disc that `home` is on, in a directory that is removed."""
    print(f"{name} ...", end=" ", file=sys.stderr, flush=True)
    began = time.monotonic()
    scratch = Path(tempfile.mkdtemp(prefix="bench-", dir=home))
    try:
        lines, error = _run_child(name, quick, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    seconds = time.monotonic() - began
    print("did not run" if error else f"{seconds:.1f} s", file=sys.stderr, flush=True)
    return {"name": name, "seconds": round(seconds, 1), "lines": lines, "error": error}


def _run_child(name: str, quick: bool, scratch: Path) -> tuple[list[Any], str]:
    output = scratch / "lines.json"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CONVERGE_")}
    environment["CONVERGE_HOME"] = str(scratch)
    command = [sys.executable, "-m", "tests.bench.child", name, str(output), *(["--quick"] if quick else [])]
    try:
        done = subprocess.run(
            command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=LONGEST_SECONDS
        )
    except subprocess.TimeoutExpired:
        return [], f"it was not done after {LONGEST_SECONDS} seconds"
    if done.returncode or not output.exists():
        return [], "\n".join(_last(done.stderr.splitlines())) or f"it ended with status {done.returncode}"
    lines: list[Any] = json.loads(output.read_text())
    return lines, ""


def _last(lines: Iterable[str]) -> list[str]:
    return list(lines)[-ERROR_LINES:]


if __name__ == "__main__":
    sys.exit(main())
