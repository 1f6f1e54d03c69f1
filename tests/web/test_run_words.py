"""What a run entry says on the page."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from converge_site.fragments.journal import row_of
from runtime.models import Entry

TIMEOUT = {"cls": "timeout", "message": "It took longer than 2 s.", "transient": True}
BROKEN = {"cls": "agent_error", "message": "KeyError: 'x'", "transient": False, "item": "a"}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"ran": 3, "said": 5}, "3 voices ran, said 5"),
        ({"ran": 1, "said": 0}, "1 voice ran, nothing to say"),
        ({"ran": 2}, "2 voices ran"),  # an agent that only adds tells no number
        ({"ran": 0, "silenced": 1, "item": "ads"}, "ads is gone, silenced"),
        ({"ran": 0, "silenced": 1}, "what it reads is gone, silenced"),
        (
            {"ran": 1, "said": 0, "failed": [TIMEOUT]},
            "1 voice ran; 1 failed: timeout (It took longer than 2 s)",
        ),
        (
            {"ran": 3, "said": 1, "failed": [BROKEN, TIMEOUT]},
            "3 voices ran, said 1; 2 failed: 1 agent error, 1 timeout (KeyError: 'x' on a)",
        ),
        ({"ran": 1, "said": 0, "abstained": ["x"]}, "1 voice ran, nothing to say; abstained on x"),
        (
            {"ran": 5, "said": 1, "abstained": list("abcde")},
            "5 voices ran, said 1; abstained on a, b, c and 2 more",
        ),
        (
            {"ran": 1, "said": 1, "rebased": [{"key": "k"}]},
            "1 voice ran, said 1; 1 statement repeated on new premises",
        ),
    ],
)
def test_a_run_is_told_in_words(body: dict[str, Any], words: str) -> None:
    text = orjson.dumps({"kind": "run", "agent": "scout", **body}).decode()
    row = row_of(Entry(job_id=1, seq=1, cycle=1, kind="run", agent="scout", body=text))
    assert (row.word, row.reason) == ("run", words)
