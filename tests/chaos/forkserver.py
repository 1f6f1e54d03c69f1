"""`python -m tests.chaos.forkserver`: starts the processes of an installation by forking one that has loaded Django.

A fault every few seconds kills more processes than two cores can start anew: loading takes a second of processor time.
What is forked here has opened nothing yet, and does from then on what the command does. One request a line on stdin:
`{"kind", "arguments", "env", "log"}`; the answer is the new process' id. It ends with its stdin, and all it forked end
with it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import django
from django.core.management import call_command

from runtime import failpoints, supervise
from runtime.failpoints import read_failpoints
from tests.chaos.skew import skew_clock

LOADED = (
    "autobahn.websocket.protocol",
    "channels_redis.pubsub",
    "converge_site.asgi",
    "runtime.management.commands.reconcile",
    "runtime.management.commands.worker",
    "twisted.internet.endpoints",
    "twisted.web.http",
)


def main() -> None:
    """Serves until nobody is there to ask."""
    django.setup()
    _load()
    # Nobody waits for them: whoever asked watches them through a pidfd.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    parent = os.getpid()
    print("ready", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(asked, parent)
        print(pid, flush=True)


def _load() -> None:
    """What every process will need; nothing that opens a connection or starts a thread."""
    from django.conf import settings
    from django.urls import get_resolver

    from runtime import backtesting
    from runtime.agents import all_packs
    from runtime.worker import settle_process

    if settings.CONVERGE_LEASE_SECONDS < backtesting.SILENCE_SECONDS:
        # What is over soon is found soon, and there are enough slices to strike.
        backtesting.SLICE_SECONDS, backtesting.JOB_SECONDS = 0.05, 1.0
        backtesting.SILENCE_SECONDS = settings.CONVERGE_LEASE_SECONDS

    for name in LOADED:
        import_module(name)
    assert get_resolver().url_patterns
    assert "twisted.internet.reactor" not in sys.modules, "it would be shared by all"
    all_packs()
    settle_process()


def _become(asked: dict[str, Any], parent: int) -> None:
    code = 1
    try:
        os.setpgid(0, 0)
        if supervise._prctl is not None:
            supervise._prctl(supervise.PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDONLY)
        log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for number, target in ((null, 0), (log, 1), (log, 2)):
            os.dup2(number, target)
        os.environ.update(asked["env"])
        failpoints.arm(read_failpoints(os.environ.get("CONVERGE_FAILPOINTS", "")))
        failpoints.warn_if_armed()
        skew_clock(float(os.environ.get("CHAOS_CLOCK_OFFSET", "0")))
        _run(asked["kind"], asked["arguments"])
        code = 0
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def _run(kind: str, arguments: list[str]) -> None:
    if kind == "web":
        # Loaded here: Twisted makes its event loop on import, which must not be shared.
        from daphne.cli import CommandLineInterface

        sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
        CommandLineInterface().run(arguments)
    else:
        call_command(kind, *arguments)


if __name__ == "__main__":
    main()
