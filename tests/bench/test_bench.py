"""The benchmarks run, and what they print can be read by a program. No time is asserted."""

import json
import os
import subprocess
import sys
from pathlib import Path

from django.conf import settings

from tests.bench.plan import BENCHES


def run_bench(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tests.bench", *arguments]
    environment = os.environ | {"CONVERGE_HOME": str(home)}
    return subprocess.run(
        command, cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True, timeout=120
    )


def test_a_quick_benchmark_prints_a_table_and_json_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = run_bench(tmp_path, "--quick", "--only", "whole-jobs")
    assert done.returncode == 0, done.stderr
    assert "published p50" in done.stdout
    record = json.loads(done.stdout.splitlines()[-1])
    assert record == json.loads((tmp_path / "bench.json").read_text())
    assert [path.name for path in tmp_path.iterdir()] == ["bench.json"]
    (bench,) = record["benchmarks"]
    assert bench["error"] == ""
    assert [line["title"] for line in bench["lines"]] == [
        "one agent",
        "20 agents",
        "1,000 seeds and one late agent",
    ]
    for line in bench["lines"]:
        assert line["figure"] > 0 and line["beside"] > 0 and line["given"] and line["goal"]
        assert isinstance(line["met"], bool)


def test_every_benchmark_is_listed_and_can_be_loaded(tmp_path: Path) -> None:
    done = run_bench(tmp_path, "--list")
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(BENCHES)
    for bench in BENCHES.values():
        assert callable(bench.load())
