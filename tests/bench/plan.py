"""The benchmarks by name. Each is a function `(quick) -> lines`, imported only in the process that runs it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

from tests.bench.result import Line


class Bench(NamedTuple):
    """A benchmark: what it is about, and where its function is."""

    name: str
    about: str
    module: str
    function: str

    def load(self) -> Callable[[bool], list[Line]]:
        """The function."""
        found: Callable[[bool], list[Line]] = getattr(
            import_module(f"tests.bench.{self.module}"), self.function
        )
        return found


BENCHES = {
    bench.name: bench
    for bench in (
        Bench("engine", "chains and fan-outs beside LangGraph", "engine_rows", "langgraph_rows"),
        Bench("whole-jobs", "beside converge-core's published figures", "engine_rows", "converge_core_rows"),
        Bench("durable-chain", "durable cycles beside LangGraph's SQLite saver", "durable", "chain_rows"),
        Bench("wide-cycles", "journalled facts beside raw executemany", "durable", "wide_rows"),
        Bench("queued-job", "a 20-agent job through RQ", "queueing", "job_rows"),
        Bench("small-jobs", "small jobs a second beside RQ no-op jobs", "queueing", "small_job_rows"),
        Bench("one-change", "one changed fact among many", "size", "one_change_rows"),
        Bench("backtest", "a draft tried on 500 recorded jobs", "backtests", "backtest_rows"),
        Bench("pages", "first byte of Jobs and of a large job", "pages", "page_rows"),
        Bench("live", "from a merge to the paint, 1 and 200 viewers", "live", "latency_rows"),
        Bench("live-sockets", "memory of an idle socket", "live", "socket_rows"),
        Bench("live-browser", "heap of a page that streams", "live", "browser_rows"),
        Bench("memory", "a million facts in memory", "size", "memory_rows"),
    )
}
