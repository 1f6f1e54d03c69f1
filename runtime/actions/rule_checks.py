"""Whether a rule that somebody typed can be: each refusal names the field, the limit and the way out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from runtime.actions.permissions import ROLES
from runtime.actions.refusals import Refused
from runtime.agents.errors import describe_expression_error
from runtime.engine import ExpressionError, PackSpec, RuleSpec, compile_expression
from runtime.engine.compiled import expression_names
from runtime.engine.policies import LONGEST, OUTCOMES_OF_DEADLINES, SHORTEST, fault_of_policy
from runtime.engine.spec import RULE_KINDS

MOST_APPROVALS = 20
LOOKING_UP = ("constraint", "invariant")  # whose expressions are given the frozen view
PRIORITIES = (-10_000, 10_000)


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of a kind of rule. `check` gives what is wrong with a value in words, or ""."""

    says: str
    check: Callable[[Any, PackSpec], str]
    required: bool = False


def check_rule(rule: RuleSpec, pack: PackSpec) -> None:
    """Raises Refused with the form field at fault: kind, name, keys, priority, params, expression or
    message."""
    if not rule.name.strip() or len(rule.name) > 100:
        raise Refused("Give the rule a name of 1 to 100 characters.", field="name")
    if rule.kind not in RULE_KINDS:
        raise Refused(f"There is no kind {rule.kind!r}; kinds are {', '.join(RULE_KINDS)}.", field="kind")
    if not PRIORITIES[0] <= rule.priority <= PRIORITIES[1]:
        low, high = PRIORITIES
        raise Refused(
            f"The priority is {rule.priority}; give one from {low:,} to {high:,}.", field="priority"
        )
    _check_keys(rule, pack)
    _check_params(rule, pack)
    check_expression(rule, pack)
    if len(rule.message) > 500:
        raise Refused(f"The message has {len(rule.message)} characters; the limit is 500.", field="message")


def params_of(kind: str) -> dict[str, str]:
    """The parameters of a kind of rule, each with what it says, for a form's help."""
    return {name: param.says for name, param in PARAMS.get(kind, {}).items()}


def _check_keys(rule: RuleSpec, pack: PackSpec) -> None:
    known = [key.name for key in pack.keys]
    if not rule.keys and rule.kind not in ("invariant", "discount"):
        raise Refused(f"Name at least one key that the rule is about: {', '.join(known)}.", field="keys")
    for key in rule.keys:
        prefix = key[:-1] if key.endswith(".*") else None
        if key not in known and not (prefix and any(name.startswith(prefix) for name in known)):
            raise Refused(
                f"The pack has no key {key!r}; it has {', '.join(known)}. `prefix.*` covers several.",
                field="keys",
            )


def _check_params(rule: RuleSpec, pack: PackSpec) -> None:
    known = PARAMS.get(rule.kind, {})
    if not isinstance(rule.params, Mapping):
        raise Refused('Parameters are a JSON object, such as {"margin": 0.4}.', field="params")
    for name in rule.params:
        if name not in known:
            has = f"it has {', '.join(known)}" if known else "it has none; leave {}"
            raise Refused(f"{rule.kind} rules have no parameter {name!r}; {has}.", field="params")
    for name, param in known.items():
        if name in rule.params:
            wrong = param.check(rule.params[name], pack)
            if wrong:
                raise Refused(f"The parameter {name} {wrong}.", field="params")
        elif param.required:
            raise Refused(f"The parameter {name} is missing: {param.says}.", field="params")
    if rule.kind == "dominance" and not any(rule.params.values()):
        raise Refused("Name who dominates: agents, sources or evidence.", field="params")
    fault = fault_of_policy(rule.params) if rule.kind in ("approval", "operator") else ""
    if fault:
        raise Refused(f"{fault[0].upper()}{fault[1:]}.", field="params")
    if rule.kind == "aggregation":
        agent = next(agent for agent in pack.agents if agent.name == rule.params["agent"])
        if not rule.covers(agent.over):
            raise Refused(f"{agent.name} rules on {agent.over!r}; name that key.", field="keys")


def check_expression(rule: RuleSpec, pack: PackSpec) -> None:
    """Raises Refused(field="expression") unless the rule's expression can be, for its kind and its pack."""
    if not rule.expression:
        if rule.kind in ("constraint", "invariant"):
            raise Refused(f"Say in CEL what the {rule.kind} demands, such as `true`.", field="expression")
        return
    try:
        compiled = compile_expression(rule.expression, expression_names(rule.kind))
    except ExpressionError as error:
        fault = describe_expression_error(rule.expression, error)
        raise Refused(f"This is no CEL: {fault}.", field="expression") from None
    if rule.kind == "discount":
        raise Refused("A discount always applies; it takes no expression.", field="expression")
    if compiled.keys and rule.kind not in LOOKING_UP:
        raise Refused(
            f"Only a {' or an '.join(LOOKING_UP)} can look facts up; this one sees {_listed(rule.kind)}.",
            field="expression",
        )
    known = {key.name for key in pack.keys}
    for key in compiled.keys:
        if key not in known:
            raise Refused(
                f"The expression looks up {key!r}; the pack has {', '.join(sorted(known))}.",
                field="expression",
            )


def _listed(kind: str) -> str:
    return ", ".join(expression_names(kind))


def _share(value: Any, _: PackSpec) -> str:
    if type(value) not in (int, float) or not 0 <= value <= 1:
        return f"is {value!r}; give a number from 0 to 1"
    return ""


def _tier(value: Any, pack: PackSpec) -> str:
    if type(value) is not int or not 1 <= value <= len(pack.tiers):
        return f"is {value!r}; the pack has the tiers 1 to {len(pack.tiers)}"
    return ""


def _count(value: Any, _: PackSpec) -> str:
    if type(value) is not int or not 1 <= value <= MOST_APPROVALS:
        return f"is {value!r}; give a whole number from 1 to {MOST_APPROVALS}"
    return ""


def _flag(value: Any, _: PackSpec) -> str:
    return "" if isinstance(value, bool) else f"is {value!r}; give true or false"


def _word(value: Any, _: PackSpec) -> str:
    return "" if isinstance(value, str) and value else f"is {value!r}; give the name of an evidence field"


def _words(value: Any, _: PackSpec) -> str:
    if isinstance(value, list) and all(isinstance(part, str) and part for part in value):
        return ""
    return f'is {value!r}; give a list of names, such as ["crm"]'


def _agents(value: Any, pack: PackSpec) -> str:
    known = [agent.name for agent in pack.agents]
    missing = [] if _words(value, pack) else [name for name in value if name not in known]
    return _words(value, pack) or (
        f"names {missing[0]!r}; the pack has the agents {', '.join(known)}" if missing else ""
    )


def _aggregator(value: Any, pack: PackSpec) -> str:
    known = [agent.name for agent in pack.agents if agent.shape == "aggregate"]
    if value in known:
        return ""
    return f"is {value!r}; the pack's aggregation agents are: {', '.join(known) or 'none'}"


def _object(value: Any, _: PackSpec) -> str:
    return "" if isinstance(value, dict) else f'is {value!r}; give an object, such as {{"source": "crm"}}'


def _groups(value: Any, pack: PackSpec) -> str:
    return _words(value, pack) or ("" if value else f"is empty; name a group, such as {ROLES[1]!r}")


def _span(value: Any, _: PackSpec) -> str:
    if type(value) not in (int, float) or not SHORTEST <= value <= LONGEST:
        return f"is {value!r}; give seconds from {SHORTEST} to {LONGEST:,} (a year), such as 14400"
    return ""


def _outcome(value: Any, _: PackSpec) -> str:
    return "" if value in OUTCOMES_OF_DEADLINES else f"is {value!r}; give {', '.join(OUTCOMES_OF_DEADLINES)}"


POLICY: dict[str, Param] = {
    "groups": Param("groups whose members may answer", _groups),
    "exclude_submitter": Param("true: never the person who submitted", _flag),
    "reason": Param("true: an answer needs a reason", _flag),
    "deadline": Param("seconds people have, from when they are asked", _span),
    "outcome": Param("what happens at the deadline: stay, reject or strongest", _outcome),
    "remind": Param("seconds before the deadline at which people are reminded", _span),
}

PARAMS: dict[str, dict[str, Param]] = {
    "confidence": {"margin": Param("by how much a side must lead, 0 to 1", _share, required=True)},
    "dominance": {
        "agents": Param("agents whose side stands", _agents),
        "sources": Param("values of the evidence field `source` whose side stands", _words),
        "evidence": Param("evidence fields and the values whose side stands", _object),
    },
    "newer": {
        "field": Param("the evidence field that holds the time, such as observed_at", _word, required=True)
    },
    "aggregation": {"agent": Param("the aggregation agent that rules", _aggregator, required=True)},
    "operator": POLICY,
    "approval": {"count": Param(f"how many people must approve, 1 to {MOST_APPROVALS}", _count), **POLICY},
    "constraint": {},
    "invariant": {"tier": Param("the tier that needs it", _tier)},
    "discount": {
        "incomplete": Param("factor for what rests on incomplete input, 0 to 1", _share),
        "provisional": Param("factor for what rests on provisional input, 0 to 1", _share),
    },
}
