"""`python -m tests.chaos.child JSON`: one installation, and some runs on it, each told as a line of JSON.

A process of its own for each installation: Django's settings are read once. `{"database", "runs": [{"seed": n} or
{"wave": n}], "template": path, "keep_logs": bool}`, or `{"database", "soak": seconds, "seed": n}`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from tests.chaos.house import House

CLEARED_WITHIN = 30.0  # seconds


def main(asked: dict[str, Any]) -> None:
    """Does what was asked, and leaves nothing behind."""
    _end_with_parent()
    house = House(asked["database"], quick="soak" not in asked)
    try:
        house.prepare(Path(asked["template"]) if asked.get("template") else None)
        house.start(2)
        if "soak" in asked:
            from tests.chaos.soak import Soak

            _say(Soak(house, int(asked["soak"]), int(asked["seed"])).go())
            return
        _run_all(house, asked)
    finally:
        if asked.get("keep_logs"):
            Path(asked["keep_logs"]).write_text(house.said())
        house.stop()


def _run_all(house: House, asked: dict[str, Any]) -> None:
    from tests.chaos.oracle import replay_elsewhere
    from tests.chaos.plans import plan_from
    from tests.chaos.runs import Run

    seed = 0
    for one in asked["runs"]:
        plan = plan_from(one)
        seed = plan.seed
        _say(Run(house, plan).go().to_json() | {"asked": one})
    if wrong := replay_elsewhere(seed + 1):
        _say(
            {"violations": wrong, "asked": asked["runs"][-1], "name": "replay in another process", "plan": []}
        )


def _say(found: dict[str, Any]) -> None:
    print(json.dumps(found), flush=True)


def _end_with_parent() -> None:
    """Ends when stdin does: whoever started this is gone. Also then no process and no mounted disk is left behind."""

    def leave(number: int, frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.exit(3)

    def watch() -> None:
        sys.stdin.read()
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(CLEARED_WITHIN)
        os._exit(3)

    signal.signal(signal.SIGTERM, leave)
    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
