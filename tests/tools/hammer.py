"""A process that calls one tool many times at once: `python -m tests.tools.hammer REDIS_URL CALLS TOOL_AS_JSON`.

Prints "busy" once it was told to wait, and at the end one JSON object: requests sent, and how the calls ended.
"""

import asyncio
import json
import sys
from collections import Counter

from runtime.tools import ToolFailed
from runtime.tools.gate import Busy, RedisGate, Ticket
from runtime.tools.record import MemoryRecorder
from runtime.tools.session import ToolSession
from runtime.tools.spec import ToolSpec


class Telling(RedisGate):
    told = False

    def enter(self, tool: ToolSpec) -> Ticket:
        try:
            return super().enter(tool)
        except Busy:
            if not self.told:
                self.told = True
                print("busy", flush=True)
            raise


async def hammer(redis_url: str, calls: int, tool: ToolSpec) -> None:
    ended: Counter[str] = Counter()
    session = ToolSession("h", 1, {tool.name: tool}, Telling(redis_url), MemoryRecorder(), 10_000, 10_000)
    runs = [session.for_run("hammer", str(number), 60) for number in range(calls)]

    async def call(number: int) -> None:
        try:
            await runs[number].post(tool.name, {"number": number})
            ended["ok"] += 1
        except ToolFailed as failed:
            ended[failed.cls] += 1

    await asyncio.gather(*(call(number) for number in range(calls)))
    sent = sum(note.attempts for run in runs for note in run.notes)
    print(json.dumps({"sent": sent, "ended": ended}), flush=True)


if __name__ == "__main__":
    given = json.loads(sys.argv[3])
    given["allow"] = tuple(given["allow"])
    asyncio.run(hammer(sys.argv[1], int(sys.argv[2]), ToolSpec(**given)))
