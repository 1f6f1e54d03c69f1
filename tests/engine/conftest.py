"""Hypothesis profiles of the engine's tests: quick by default, `ENGINE_TESTS=deep` for a long search."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
settings.register_profile("engine-quick", max_examples=150, deadline=None, suppress_health_check=_QUIET)
settings.register_profile("engine-deep", max_examples=5_000, deadline=None, suppress_health_check=_QUIET)
settings.load_profile(f"engine-{os.environ.get('ENGINE_TESTS', 'quick')}")
