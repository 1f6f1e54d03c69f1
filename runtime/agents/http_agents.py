"""Agents behind an HTTP address: the view goes out as JSON, proposals come back (contract/*.json)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from runtime.agents.answering import CONTRACT, explain_misfit, read_answer
from runtime.agents.configs import check_parts, read_path, read_tool
from runtime.agents.saying import Ruling
from runtime.agents.showing import schemas_of, show_view
from runtime.engine import KeySpec, Proposal, View
from runtime.engine.spec import AgentSpec
from runtime.tools.answers import Answer
from runtime.tools.failures import ToolFailed, bad_output
from runtime.tools.spec import ToolSpec

KIND = "http"
PARTS = ("tool", "path")
MAX_REQUEST = 16 * 1024 * 1024  # bytes


def check_http(agent: AgentSpec, named: str) -> None:
    """Raises DeclarationError unless the config is one of an http agent."""
    check_parts(agent.config, PARTS, named)
    read_tool(agent.config, named)
    read_path(agent.config, named)


@dataclass(frozen=True, slots=True)
class HttpAgent:
    """Asks one address. Called with what its shape is shown; raises ToolFailed."""

    agent: AgentSpec
    keys: Mapping[str, KeySpec]
    named: str

    async def __call__(self, *shown: Any) -> list[Proposal] | Ruling | None:
        # Here: who only declares or reads packs needs no Redis client.
        from runtime.tools.session import current

        view: View = shown[-1]
        calls = current()
        tool, path = read_tool(self.agent.config, self.named), read_path(self.agent.config, self.named)
        asked = {
            "contract": CONTRACT,
            "job": calls.job_id,
            "cycle": calls.cycle,
            "agent": self.agent.name,
            **show_view(self.agent, view),
            "writes": schemas_of(self.agent, self.keys),
        }

        async def send(spec: ToolSpec, key: str) -> Answer:
            from runtime.tools.http import post_json

            return await post_json(spec, path, {**asked, "idempotency_key": key}, key)

        def check(answer: Any) -> None:
            why = explain_misfit(self.agent, answer)
            if why:
                raise bad_output(tool, f"something else than {CONTRACT} says: {why}")

        said = await calls.call(tool, send, {"path": path, "body": self._digest(asked)}, check=check)
        return read_answer(said)

    def _digest(self, asked: Mapping[str, Any]) -> str:
        """What stands for the body in the call's name: a view may be larger than any one value in a journal. Job and
        cycle are told to the tool but are no part of the question, so that a preview finds it asked before."""
        raw = orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)
        if len(raw) > MAX_REQUEST:
            raise ToolFailed(
                "agent_error",
                f"What {self.named} is shown makes a request of more than {MAX_REQUEST:,} bytes; let it read less, "
                f"or go through a key with `over`.",
            )
        question = {name: value for name, value in asked.items() if name not in ("job", "cycle")}
        return hashlib.sha256(orjson.dumps(question, option=orjson.OPT_SORT_KEYS)).hexdigest()
