"""What other rules would have made different in a job that is over. Pure like the engine: a frozen pack, its recorded
cycles and a change of rules in, flips out.

The record is merged again under the rules it was made with, and at the end of each cycle the changed rules are asked
about the very candidates that were there. So a flip is of *first order*: what agents would have said, and people would
have been asked, after it is not guessed (D4.6).
"""

from runtime.backtest.changes import CannotCompare, RuleChange, change_pack, compile_changed
from runtime.backtest.comparing import Scope, compare, scope_of
from runtime.backtest.flips import KINDS, Flip

__all__ = [
    "KINDS",
    "CannotCompare",
    "Flip",
    "RuleChange",
    "Scope",
    "change_pack",
    "compare",
    "compile_changed",
    "scope_of",
]
