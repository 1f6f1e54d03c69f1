"""Whether an agent that somebody put together can be: each refusal names the field, the limit and the way out."""

from __future__ import annotations

import re
from collections.abc import Mapping

from runtime.actions.refusals import Refused
from runtime.actions.texts import check_text, shorten
from runtime.actions.tool_checks import NotKept, check_no_key
from runtime.agents import TOOL_KINDS, DeclarationError, check_agent_config
from runtime.engine import BoundsError, PackSpec
from runtime.engine.spec import SHAPES, AgentSpec
from runtime.engine.values import canonical
from runtime.models import Tool

LONGEST_TIMEOUT = 3_600.0
LONGEST_WAIT = 30 * 86_400.0
MOST_CONFIG_BYTES = 64 * 1024
_KEY_IN_PATH = re.compile(
    r"[?&](api_?key|key|(access_?)?token|secret|password|pass|sig|signature)=", re.IGNORECASE
)


def check_settings(spec: AgentSpec, pack: PackSpec) -> None:
    """Everything about an agent that an admin made, but for its tool and its place among the others."""
    for field, text, limit in (("title", spec.title, 200), ("description", spec.description, 2_000)):
        check_no_key(field, text)
        check_text(field, text, limit)
    check_limits(spec, pack)
    _check_keys(spec, pack)
    check_config(spec, pack)


def check_limits(spec: AgentSpec, pack: PackSpec) -> None:
    tiers = len(pack.tiers)
    if type(spec.tier) is not int or not 1 <= spec.tier <= tiers:
        raise Refused(f"The tier is {spec.tier!r}; the pack has the tiers 1 to {tiers}.", field="tier")
    if type(spec.timeout) not in (int, float) or not 0 < spec.timeout <= LONGEST_TIMEOUT:
        raise Refused(
            f"The timeout is {spec.timeout!r}; give more than 0 and at most {LONGEST_TIMEOUT:,.0f} seconds.",
            field="timeout",
        )
    if type(spec.wait) not in (int, float) or not 0 <= spec.wait <= LONGEST_WAIT:
        raise Refused(
            f"The wait is {spec.wait!r}; give 0 (do not wait) to {LONGEST_WAIT:,.0f} seconds.", field="wait"
        )


def _check_keys(spec: AgentSpec, pack: PackSpec) -> None:
    known = [key.name for key in pack.keys]
    listed = ", ".join(known)
    if spec.shape not in SHAPES:
        raise Refused(f"There is no shape {spec.shape!r}; shapes are {', '.join(SHAPES)}.", field="shape")
    if spec.kind == "cel" and spec.shape != "each":
        raise Refused("A cel agent speaks about one fact at a time: its shape is each.", field="shape")
    for field, keys in (
        ("reads", spec.reads),
        ("writes", spec.writes),
        ("over", (spec.over,) * bool(spec.over)),
    ):
        for key in keys:
            if key not in known:
                raise Refused(f"The pack has no key {shorten(str(key), 60)!r}; it has {listed}.", field=field)
    if not spec.writes:
        raise Refused(f"Name at least one key that the agent may write: {listed}.", field="writes")
    if spec.kind == "cel" and len(spec.writes) != 1:
        raise Refused("A cel agent writes one key.", field="writes")
    _check_way_through(spec, listed)


def _check_way_through(spec: AgentSpec, listed: str) -> None:
    """`over` and `group_by` belong to the shape."""
    if spec.shape == "whole" and spec.over:
        raise Refused("A whole agent goes over no key; name what it is shown in `reads`.", field="over")
    if spec.shape != "whole" and not spec.over:
        raise Refused(f"Name the key that it goes through: {listed}.", field="over")
    if spec.shape in ("each", "grouped") and spec.over in spec.reads:
        raise Refused(
            f"The agent goes over {spec.over!r} and is shown it one at a time; leave it out here.",
            field="reads",
        )
    if spec.shape == "grouped" and not spec.group_by:
        raise Refused("Name the field of the values that tells the groups apart.", field="group_by")
    if spec.shape != "grouped" and spec.group_by:
        raise Refused("Only a grouped agent has a field to group by; leave it empty.", field="group_by")
    check_text("group_by", spec.group_by, 100)
    if spec.shape == "aggregate" and spec.writes != (spec.over,):
        raise Refused(f"An aggregate agent rules on {spec.over!r} and writes just that key.", field="writes")


def check_config(spec: AgentSpec, pack: PackSpec) -> None:
    if not isinstance(spec.config, Mapping):
        raise Refused('The configuration is a JSON object, such as {"tool": "search"}.', field="config")
    try:
        text = canonical(dict(spec.config), MOST_CONFIG_BYTES)
    except BoundsError as error:
        raise Refused(f"The configuration {error}.", field="config") from None
    check_config_text(text.decode())
    try:
        check_agent_config(spec, pack)
    except DeclarationError as error:
        raise Refused(str(error), field="config") from None


def check_config_text(text: str) -> None:
    """Raises NotKept if a secret seems to stand in a configuration, given as JSON text."""
    check_no_key("config", text)
    if _KEY_IN_PATH.search(text):
        raise NotKept("config", "The path holds a key behind its question mark.")


def check_tool(spec: AgentSpec) -> None:
    """The tool that an enabled agent names is there, and of the agent's kind."""
    if spec.kind not in TOOL_KINDS:
        return
    name = spec.config.get("tool")
    there = dict(Tool.objects.order_by("name").values_list("name", "kind"))
    fitting = ", ".join(tool for tool, kind in there.items() if kind == spec.kind)
    ways = f"those of kind {spec.kind} are: {fitting or 'none yet; add one under Tools'}"
    if name not in there:
        raise Refused(f"There is no tool {shorten(str(name), 60)!r}; {ways}.", field="config")
    if there[name] != spec.kind:
        raise Refused(f"The tool {name} is of kind {there[name]}; {ways}.", field="config")
