"""`python -m tests.runtime.digests`: prints the digests of some jobs, run in memory. For comparing processes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from runtime.agents import find_pack
from runtime.engine import InboxRow, PackSpec
from runtime.rehearsal import Rehearsal
from runtime.tools.gate import MemoryGate
from runtime.tools.record import MemoryRecorder
from runtime.tools.session import ToolSession
from tests.runtime.packs import CHOIR_SEEDS, choir


def growth_spec() -> tuple[PackSpec, list[dict[str, Any]]]:
    """The pack and its sample."""
    pack = find_pack("growth")
    assert pack is not None
    return pack.spec(), pack.sample_seeds()


def growth_tools() -> Callable[[int], ToolSession]:
    """The tools of `growth` at the simulator of this test run; nothing is kept of what they answer."""
    pack = find_pack("growth")
    assert pack is not None
    here = os.environ["CONVERGE_FLAKY_TOOLS_URL"]
    tools = {
        name: replace(tool.spec, allow=("127.0.0.1",), url=tool.spec.url.replace("{flaky_tools}", here))
        for name, tool in pack.tools.items()
    }
    gate, recorder = MemoryGate(), MemoryRecorder()
    return lambda cycle: ToolSession("growth", cycle, tools, gate, recorder, 10_000, 1_000_000)


def claims_spec() -> tuple[PackSpec, list[dict[str, Any]]]:
    """The pack and its polls: real claims, few enough to be run again and again."""
    pack = find_pack("claims")
    assert pack is not None
    return pack.spec(), pack.sample_seeds("polls")


def run_growth() -> str:
    """Runs `growth` until nobody is asked any more: every conflict decided for its first side, the plan approved."""
    job = Rehearsal(*growth_spec(), session_for=growth_tools())
    stop = job.run()
    row = 0
    while stop.reason == "waiting":
        rows = []
        for cause in stop.causes:
            row += 1
            act = "decide" if cause["what"] == "conflict" else "approve"
            value = "saturated" if act == "decide" else None
            slot = cause["key"], cause["subject"]
            rows.append(InboxRow(row, act, "otto", *slot, value=value, groups=("operator",)))
        stop = job.tell(*rows)
    assert stop.reason == "converged", stop
    return job.core.digest


def run_claims() -> str:
    """Runs `claims` until it stops."""
    job = Rehearsal(*claims_spec())
    job.run()
    return job.core.digest


def run_choir() -> str:
    """Runs async agents that finish in another order each time. Their code is here, and needs no entry point."""
    job = Rehearsal(choir.spec(), CHOIR_SEEDS, choir.functions)
    job.run()
    return job.core.digest


if __name__ == "__main__":
    print(json.dumps({"growth": run_growth(), "claims": run_claims(), "choir": run_choir()}))
