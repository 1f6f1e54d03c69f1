"""Rows, constraints and querysets. Only actions and the store write them (D9.3, DESIGN 11)."""

from runtime.models.answer import Answer
from runtime.models.audit import AuditRecord
from runtime.models.governance import Conflict, Decision
from runtime.models.head import Head
from runtime.models.job import STATUS_WORDS, Job, JobInput, JobStatus
from runtime.models.journal import Cycle, Entry
from runtime.models.notice import Notice, NoticeSetting
from runtime.models.pack import Agent, Pack
from runtime.models.rule import Backtest, BacktestFlip, GovernanceRule, RuleState, RuleVersion
from runtime.models.tool import Tool, ToolCall
from runtime.models.view import SavedView

__all__ = [
    "STATUS_WORDS",
    "Agent",
    "Answer",
    "AuditRecord",
    "Backtest",
    "BacktestFlip",
    "Conflict",
    "Cycle",
    "Decision",
    "Entry",
    "GovernanceRule",
    "Head",
    "Job",
    "JobInput",
    "JobStatus",
    "Notice",
    "NoticeSetting",
    "Pack",
    "RuleState",
    "RuleVersion",
    "SavedView",
    "Tool",
    "ToolCall",
]
