"""The web process answers what it was asked before it ends, and lets nobody new in."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import RemoteDisconnected

import pytest
from django.conf import settings

from tests.waiting import eventually

GRACE = 6  # seconds; a process that is done needs one or two to be gone


@dataclass
class Web:
    process: subprocess.Popen[str]
    port: int

    def is_listening(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def post(self, seconds: float) -> bytes:
        address = f"http://127.0.0.1:{self.port}/{seconds}"
        with urllib.request.urlopen(address, data=b"a=1", timeout=30) as answer:
            body: bytes = answer.read()
            return body

    def wait_until_asked(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "asked\n"


@pytest.fixture
def web() -> Iterator[Web]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["-m", "converge_site.serve", "-b", "127.0.0.1", "-p", str(port), "-v", "0"]
    process = subprocess.Popen(
        [sys.executable, *command, "tests.operations.slow_site:application"],
        cwd=settings.BASE_DIR,
        env=os.environ | {"CONVERGE_GRACE_SECONDS": str(GRACE)},
        stdout=subprocess.PIPE,
        text=True,
    )
    found = Web(process, port)
    try:
        assert eventually(found.is_listening)
        assert found.post(0) == b"done"  # it listens a little before it takes signals
        found.wait_until_asked()
        yield found
    finally:
        process.kill()
        process.wait(10)


def test_request_under_way_is_answered_and_the_door_is_shut(web: Web) -> None:
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(web.post, 2)
        web.wait_until_asked()
        web.process.send_signal(signal.SIGTERM)
        assert eventually(lambda: not web.is_listening(), 1.2), "somebody new was let in"
        assert asked.result(10) == b"done"
    assert web.process.wait(GRACE - 2) == 0


def test_request_that_takes_longer_than_the_grace_does_not_hold_it(web: Web) -> None:
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(web.post, 60)
        web.wait_until_asked()
        began = time.monotonic()
        web.process.send_signal(signal.SIGTERM)
        assert web.process.wait(GRACE + 6) == 0
        assert time.monotonic() - began > GRACE - 1
        with pytest.raises((RemoteDisconnected, ConnectionError, OSError)):
            asked.result(10)


def test_idle_process_ends_at_once(web: Web) -> None:
    web.process.send_signal(signal.SIGTERM)
    assert web.process.wait(GRACE - 1) == 0
