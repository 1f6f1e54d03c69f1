"""The only writers: each checks, writes, audits, and notifies on commit (DESIGN 11).

Every action raises `Refused` with a sentence for people when it does nothing. A repeated receipt gives the same row
again: a double click is one act.
"""

from runtime.actions.audit import record_act
from runtime.actions.deciding import answer_hold, decide_conflict, decide_slot, undo_decision
from runtime.actions.facts import add_fact, withdraw_fact
from runtime.actions.permissions import ACTS, Verdict, may, require, role_of
from runtime.actions.refusals import Problem, Refused, SeedsRefused
from runtime.actions.running import cancel_job, retry_job
from runtime.actions.seeds import MAX_SEED_BYTES, MAX_SEEDS, check_seeds, parse_seeds
from runtime.actions.submitting import submit_job

__all__ = [
    "ACTS",
    "MAX_SEEDS",
    "MAX_SEED_BYTES",
    "Problem",
    "Refused",
    "SeedsRefused",
    "Verdict",
    "add_fact",
    "answer_hold",
    "cancel_job",
    "check_seeds",
    "decide_conflict",
    "decide_slot",
    "may",
    "parse_seeds",
    "record_act",
    "require",
    "retry_job",
    "role_of",
    "submit_job",
    "undo_decision",
    "withdraw_fact",
]
