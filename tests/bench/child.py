"""One benchmark in a process of its own: `python -m tests.bench.child NAME OUTPUT [--quick]`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.bench.measure import top_of_profile
from tests.bench.plan import BENCHES


def main(name: str, output: str, *flags: str) -> None:
    """Writes the benchmark's lines to `output` as JSON; a missed goal gets the profile that says why."""
    lines = BENCHES[name].load()("--quick" in flags)
    Path(output).write_text(json.dumps([line.to_json() for line in lines]))


if __name__ == "__main__":
    main(*sys.argv[1:])
