"""The simulator's ways to misbehave, as the gateway sees them; and what it counts is what the record says."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest

from runtime.tools import ToolFailed
from runtime.tools.flaky.server import FlakyTools
from runtime.tools.gate import RedisGate
from runtime.tools.record import MemoryRecorder
from tests.tools.cast import session_of, tool_at

CLASSES = {
    "down": "server_error",
    "slow": "timeout",
    "slow_body": "timeout",
    "reset": "unreachable",
    "rate_limited": "rate_limited",
    "server_error": "server_error",
    "refused": "refused",
    "bad_json": "bad_output",
    "huge": "bad_output",
    "redirect": "refused",
}
BODY = {"facts": {}, "item": {"subject": "podcasts", "value": 1}}


@pytest.fixture(scope="module")
def simulator() -> Iterator[FlakyTools]:
    with FlakyTools() as tools:
        yield tools


@pytest.mark.parametrize("mode", CLASSES)
async def test_mode_falls_into_its_class(simulator: FlakyTools, mode: str) -> None:
    simulator.mode("search", mode)
    before = simulator.requests("search")
    tool = tool_at(f"{simulator.url}/search", timeout=0.5)
    run = session_of(tool).for_run("searcher", mode, 30)
    with pytest.raises(ToolFailed) as caught:
        await run.post("search", BODY)
    assert caught.value.cls == CLASSES[mode]
    assert simulator.requests("search") - before == run.notes[0].attempts == 1


async def test_requests_at_the_server_are_those_on_record(simulator: FlakyTools, gate: RedisGate) -> None:
    """A third of all requests fails, in every class, under retries and a breaker that opens and closes."""
    simulator.mode("search", "random:0.3:seed")
    before = simulator.requests("search")
    tool = tool_at(
        f"{simulator.url}/search",
        timeout=0.4,
        attempts=3,
        failure_threshold=4,
        window=2.0,
        open_seconds=0.1,
        concurrency=8,
    )
    recorder = MemoryRecorder()
    session = session_of(tool, gate=gate, recorder=recorder)
    runs = [session.for_run("searcher", str(number), 60) for number in range(80)]
    ended: Counter[str] = Counter()

    async def call(number: int) -> None:
        try:
            await runs[number].post("search", {**BODY, "number": number})
            ended["ok"] += 1
        except ToolFailed as failed:
            ended[failed.cls] += 1

    await asyncio.gather(*(call(number) for number in range(80)))
    sent = sum(note.attempts for run in runs for note in run.notes)
    assert simulator.requests("search") - before == sent == sum(recorder.sent.values())
    assert len(recorder.finished) == sum(ended.values()) == 80
    assert ended["ok"] > 0
    assert gate.state("search").in_flight == 0
