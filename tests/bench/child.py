"""One benchmark in a process of its own: `python -m tests.bench.child NAME OUTPUT [--quick]`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.bench.plan import BENCHES


def main(name: str, output: str, *flags: str) -> None:
    """Writes the benchmark's lines to `output` as JSON."""
    lines = BENCHES[name].load()("--quick" in flags)
    Path(output).write_text(json.dumps([line.to_json() for line in lines]))


if __name__ == "__main__":
    main(*sys.argv[1:])
