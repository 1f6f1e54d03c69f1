"""The engine: a pure library that merges what agents propose into facts, until a fixed point. No I/O, no clock."""

from runtime.engine.closing import STOP_REASONS, Stop
from runtime.engine.core import Commit, Core
from runtime.engine.desk import Receipt
from runtime.engine.eligible import Run
from runtime.engine.expr import Expression, ExpressionError, compile_expression
from runtime.engine.inputs import Call, Effect, Failure, InboxRow, Malformed, Proposal, Seed
from runtime.engine.lint import PackError
from runtime.engine.log import GENESIS, KINDS, OUTCOMES, Entry
from runtime.engine.spec import AgentSpec, Budget, KeySpec, PackSpec, RuleSpec, TierSpec
from runtime.engine.values import BoundsError
from runtime.engine.versions import ENGINE_VERSION
from runtime.engine.view import Fact, Facts, Group, Side, Sides, SideVoice, View

__all__ = [
    "ENGINE_VERSION",
    "GENESIS",
    "KINDS",
    "OUTCOMES",
    "STOP_REASONS",
    "AgentSpec",
    "BoundsError",
    "Budget",
    "Call",
    "Commit",
    "Core",
    "Effect",
    "Entry",
    "Expression",
    "ExpressionError",
    "Fact",
    "Facts",
    "Failure",
    "Group",
    "InboxRow",
    "KeySpec",
    "Malformed",
    "PackError",
    "PackSpec",
    "Proposal",
    "Receipt",
    "RuleSpec",
    "Run",
    "Seed",
    "Side",
    "SideVoice",
    "Sides",
    "Stop",
    "TierSpec",
    "View",
    "compile_expression",
]
