"""Hypothesis profiles of the engine's tests: quick by default, `ENGINE_TESTS=deep` for a long search.

The quick profile draws the same examples every time, so that a red test means a change; the deep one looks for more.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
settings.register_profile(
    "engine-quick", max_examples=200, derandomize=True, deadline=None, suppress_health_check=_QUIET
)
settings.register_profile("engine-deep", max_examples=5_000, deadline=None, suppress_health_check=_QUIET)
settings.load_profile(f"engine-{os.environ.get('ENGINE_TESTS', 'quick')}")
