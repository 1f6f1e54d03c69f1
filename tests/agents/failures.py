"""The failure of one agent."""

from __future__ import annotations

from typing import Any

from runtime.agents import run_all
from runtime.engine import Failure
from tests.agents.fakes import functions, run_of


def failure_of(call: Any, **options: Any) -> Failure:
    """The failure of one run of `call`."""
    (effect,) = run_all([run_of(call.__name__, **options)], functions(call))
    assert effect.failure is not None
    assert not effect.proposals
    return effect.failure
