"""Agents that are a prompt to a language model behind an OpenAI-compatible address.

One call asks, and if the answer does not fit the schemas of the keys, a second one says what was wrong with it. The
model, and the temperature and the seed it was asked with, are kept as evidence of what it proposes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runtime.agents.answer_forms import AnswerForm, Unfit, describe_form
from runtime.agents.completions import PATH, Completion, count_tokens, read_completion, unfenced, with_model
from runtime.agents.configs import check_parts, read_number, read_text, read_tool
from runtime.agents.errors import DeclarationError
from runtime.agents.saying import Ruling
from runtime.agents.showing import schemas_of, show_view
from runtime.engine import KeySpec, Proposal, View
from runtime.engine.spec import AgentSpec
from runtime.tools.answers import Answer
from runtime.tools.failures import ToolFailed, bad_output
from runtime.tools.spec import ToolSpec

if TYPE_CHECKING:
    from runtime.tools.session import RunCalls

KIND = "llm"
PARTS = ("tool", "prompt", "system", "subject", "temperature", "seed", "max_tokens", "confidence")
TEMPERATURE, SEED = 0.0, 1  # where the config does not say; null there means: do not send any
LONGEST_QUOTE = 20_000  # characters of an answer that are shown to the model again

Json = dict[str, Any]


def check_llm(agent: AgentSpec, named: str) -> None:
    """Raises DeclarationError unless the config is one of an llm agent."""
    from runtime.agents.prompts import MAX_TEMPLATE, PromptError, check_prompt

    config = agent.config
    check_parts(config, PARTS, named)
    read_tool(config, named)
    read_text(config, "prompt", named, needed=True, most=MAX_TEMPLATE)
    read_text(config, "system", named, most=MAX_TEMPLATE)
    for part in ("prompt", "system"):
        try:
            check_prompt(config.get(part, ""), agent.shape)
        except PromptError as error:
            raise DeclarationError(f"The {part} of {named} cannot be used: {error}.") from None
    if read_text(config, "subject", named) and agent.shape != "whole":
        raise DeclarationError(
            f"{named} is {agent.shape}: its subject is what it is asked about; drop `subject`."
        )
    _parameters(config, named)
    read_number(config, "confidence", named, 0, 1)


@dataclass(frozen=True, slots=True)
class LlmAgent:
    """Asks one model. Called with what its shape is shown; raises ToolFailed."""

    agent: AgentSpec
    keys: Mapping[str, KeySpec]
    named: str

    async def __call__(self, *shown: Any) -> list[Proposal] | Ruling | None:
        # Here: who only declares or reads packs needs no Redis client.
        from runtime.tools.session import current

        view: View = shown[-1]
        calls, parameters = current(), _parameters(self.agent.config, self.named)
        form = self._form(view)
        messages = self._messages(view, form)
        said = await self._ask(calls, messages, form, parameters)
        try:
            answer = _read(form, said)
        except Unfit as unfit:
            said = await self._ask(calls, [*messages, *_repair(said, unfit)], form, parameters, must_fit=True)
            answer = _read(form, said)
        evidence: Json = {part: parameters[part] for part in ("temperature", "seed") if part in parameters}
        return form.proposals(answer, {"model": said.model, **evidence} if said.model else evidence)

    def _form(self, view: View) -> AnswerForm:
        """Whom an answer is about is known for an item and a group, and where the config names it."""
        subject: str | None = self.agent.config.get("subject") or None
        if self.agent.shape == "each" and view.item is not None:
            subject = view.item.subject
        elif self.agent.shape == "grouped" and view.group is not None:
            subject = view.group.name
        return AnswerForm(
            self.agent, schemas_of(self.agent, self.keys), subject, self.agent.config.get("confidence")
        )

    def _messages(self, view: View, form: AnswerForm) -> list[dict[str, str]]:
        from runtime.agents.prompts import PromptError, fill_prompt

        agent = {name: getattr(self.agent, name) for name in ("name", "title", "description")}
        shown = {**show_view(self.agent, view), "agent": agent, "writes": form.schemas}
        texts: dict[str, str] = {}
        for part in ("system", "prompt"):
            try:
                texts[part] = fill_prompt(self.agent.config.get(part, ""), shown)
            except PromptError as error:
                raise ToolFailed(
                    "agent_error", f"The {part} of {self.named} cannot be used: {error}."
                ) from None
        system = "\n\n".join(text for text in (texts["system"].strip(), describe_form(form)) if text)
        return [{"role": "system", "content": system}, {"role": "user", "content": texts["prompt"]}]

    async def _ask(
        self,
        calls: RunCalls,
        messages: list[dict[str, str]],
        form: AnswerForm,
        parameters: Json,
        must_fit: bool = False,
    ) -> Completion:
        tool = read_tool(self.agent.config, self.named)
        form_told = {"type": "json_schema", "json_schema": {"name": "answer", "schema": form.schema}}
        body = {"messages": messages, **parameters, "response_format": form_told}

        async def send(spec: ToolSpec, key: str) -> Answer:
            from runtime.tools.http import post_json

            answer = await post_json(spec, PATH, {"model": spec.model, **body}, key)
            return answer._replace(value=with_model(answer.value, spec.model))

        def check(value: Any) -> None:
            said = read_completion(tool, value)
            if must_fit:
                try:
                    _read(form, said)
                except Unfit as unfit:
                    raise bad_output(tool, f"twice what does not fit: {unfit}") from None

        def usage(value: Any) -> tuple[int, int]:
            return count_tokens(messages, value)

        asked = {"path": PATH, "body": body}
        return read_completion(tool, await calls.call(tool, send, asked, usage, check))


def _parameters(config: Mapping[str, Any], named: str) -> Json:
    """What is sent beside the messages: temperature and seed unless they are null, and the limit of tokens."""
    given = {"temperature": TEMPERATURE, "seed": SEED, **config}
    found = {
        "temperature": read_number(given, "temperature", named, 0, 2),
        "seed": read_number(given, "seed", named, -(2**63), 2**63 - 1, whole=True),
        "max_tokens": read_number(given, "max_tokens", named, 1, 1_000_000, whole=True),
    }
    return {part: value for part, value in found.items() if value is not None}


def _read(form: AnswerForm, said: Completion) -> Any:
    try:
        return form.read(unfenced(said.text))
    except Unfit:
        if said.finish == "length":
            raise Unfit("it was cut off at the limit of tokens") from None
        raise


def _repair(said: Completion, unfit: Unfit) -> list[dict[str, str]]:
    told = f"That cannot be used: {unfit}. Answer again with the JSON object alone, as the schema says."
    return [
        {"role": "assistant", "content": said.text[:LONGEST_QUOTE]},
        {"role": "user", "content": told},
    ]
