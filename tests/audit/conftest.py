"""A job with people in it, and packs of the tests' own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from runtime.heads import Signer
from runtime.models import Job
from tests.runtime.fixtures import Use, empty_queue, installed, use_packs
from tests.runtime.packs import PANEL_SEEDS
from tests.runtime.stage import run, submit, tell

__all__ = ["empty_queue", "installed", "use_packs"]


@pytest.fixture
def job(use_packs: Use) -> Job:
    """A job with a decision behind it and an approval before it."""
    use_packs("panel")
    job = run(submit("panel", PANEL_SEEDS))
    tell(
        job,
        "decide",
        "otto",
        key="verdict",
        subject="doubtful",
        payload={"value": "yes"},
        reason="ß 𝔘 \u2028",
    )
    return run(job)


@pytest.fixture
def signed(job: Job) -> Job:
    """The job with a decision behind it, and another, both signed."""
    run(submit("panel", PANEL_SEEDS[:1]))
    assert Signer().sign_settled() == 2
    return job


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home in which nothing was signed yet."""
    path = tmp_path / "home"
    path.mkdir(mode=0o700)
    monkeypatch.setattr(settings, "CONVERGE_HOME", path)
    monkeypatch.setattr(settings, "CONVERGE_SIGNING_KEY_FILE", None)
    return path


@pytest.fixture
def bundle(job: Job) -> bytes:
    """The job's bundle."""
    from runtime.bundle import write_bundle

    text: Any = "".join(write_bundle(job))
    return bytes(text, "utf-8")
