"""The requests of one call: each let through by the gate, noted before it is sent, bounded in time, and repeated by the
tool's retry policy."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from tenacity import AsyncRetrying, RetryCallState
from tenacity.retry import retry_if_exception

from runtime.engine.values import BoundsError, canonical, parse
from runtime.tools.answers import Answer, Check, Send, Usage
from runtime.tools.failures import ToolFailed, bad_output, from_error, no_place, timed_out
from runtime.tools.gate import Busy, Gate, Ticket, Verdict
from runtime.tools.guard import find_place
from runtime.tools.record import Recorded, Unrecorded
from runtime.tools.run_clock import CLOCK, CountsAll
from runtime.tools.secret import secret_headers, strike_out
from runtime.tools.spec import ToolSpec

log = logging.getLogger(__name__)

SHORTEST_POLL, LONGEST_POLL = 0.01, 0.25  # seconds between two questions for a free place
ENOUGH = 0.75  # of its timeout a tool must have had, before a run that ends is held against it
_FAILED = ("timeout", "unreachable", "server_error")
_ANSWERED = ("refused", "bad_output")
_gates = ThreadPoolExecutor(4, "tool-gates")


class Attempts:
    """One call under way. `sent` counts its requests; `closed_breaker` is True once one of them closed the breaker.

    `deadline` is on the monotonic clock, and is put off with the run's end; `note_attempt` is awaited with the
    request's number before it is sent, and what it raises ends the call.
    """

    def __init__(
        self,
        tool: ToolSpec,
        gate: Gate,
        deadline: float,
        note_attempt: Callable[[int], Awaitable[None]],
        usage: Usage | None,
        check: Check | None,
    ) -> None:
        self.sent = 0
        self.closed_breaker = False
        self._tool, self._gate, self._deadline, self._note_attempt = tool, gate, deadline, note_attempt
        self._usage, self._check = usage, check
        self._clock = CLOCK.get() or CountsAll()
        self._last: ToolFailed | None = None  # the last failure of a request
        self._is_shut_out = False  # by the gate, so that no further request is sent
        self._was_cut = False  # by the run's end, not by the tool's own timeout
        self._status: int | None = None
        self._tokens = (0, 0)
        self._took = 0.0  # milliseconds of the last request
        self._leaving: Future[bool] | None = None

    async def run(self, send: Send, key: str) -> Recorded:
        """Sends until there is an answer, or none is to be hoped for. Raises Unrecorded and CancelledError only."""
        retrying = AsyncRetrying(
            retry=retry_if_exception(self._may_go_on),
            wait=self._wait,
            stop=self._must_stop,
            sleep=asyncio.sleep,
            reraise=True,
        )
        try:
            # What is known without asking is no request.
            find_place(self._tool)
            secret_headers(self._tool)
            return self.ended(await retrying(self._attempt, send, key), None)
        except Unrecorded:
            raise
        except ToolFailed as failed:
            return self.ended(None, failed)
        except Exception as error:  # of ours, or of who configured it: no weather
            log.exception("a call of %s went wrong", self._tool.name)
            return self.ended(None, from_error(self._tool.name, error))

    def ended(self, value: Any, failed: ToolFailed | None) -> Recorded:
        """The call as it is to be recorded."""
        tokens_in, tokens_out = self._tokens
        cost = (tokens_in * self._tool.price_in + tokens_out * self._tool.price_out) / 1_000_000
        failure = None if failed is None else failed.as_failure()._replace(tool=self._tool.name)
        status = self._status if failed is None else failed.status
        return Recorded(
            value, failure, self.sent, status, tokens_in, tokens_out, round(cost, 8), round(self._took, 1)
        )

    async def settle(self) -> bool:
        """Waits until the gate knows how the last request went. True if a request of this call closed the breaker."""
        leaving, self._leaving = self._leaving, None
        if leaving is not None:
            try:
                self.closed_breaker |= await asyncio.shield(asyncio.wrap_future(leaving))
            except Exception:
                log.exception("the gate of %s could not be told how a request went", self._tool.name)
        return self.closed_breaker

    async def _attempt(self, send: Send, key: str) -> Any:
        ticket = await self._enter()
        verdict: Verdict = "neutral"
        pause = 0.0
        try:
            await self._note_attempt(self.sent + 1)
            self.sent += 1
            answer = await self._send(send, key)
            verdict = "ok"
            return self._accept(answer)
        except Unrecorded:
            raise
        except ToolFailed as failed:
            self._last = failed
            if verdict != "ok":
                verdict, pause = self._judge(failed)
            raise
        finally:
            # Not waited for: an answer is to be on record before anything else may hold us up.
            self._leaving = _gates.submit(self._gate.leave, ticket, verdict, pause)

    async def _enter(self) -> Ticket:
        """Waits for a place, for as long as the run has time; which begins with the first place that it gets."""
        await self.settle()
        try:
            return await self._wait_for_place()
        finally:
            self._clock.begin()

    async def _wait_for_place(self) -> Ticket:
        poll = SHORTEST_POLL
        while True:
            left = min(self._due, self._clock.until) - time.monotonic()
            if left <= 0:
                raise self._given_up(no_place(self._tool.name))
            try:
                return await self._ask_gate()
            except Busy:
                self._clock.wait()
                wait = poll * random.uniform(0.5, 1.0)
                poll = min(2 * poll, LONGEST_POLL)
            except ToolFailed as failed:
                wait = failed.retry_after or 0.0
                if failed.cls != "rate_limited" or wait > min(self._tool.backoff_max, left):
                    raise self._given_up(failed) from None
            await asyncio.sleep(min(wait, left))

    @property
    def _due(self) -> float:
        return self._deadline + self._clock.put_off

    def _given_up(self, failed: ToolFailed) -> ToolFailed:
        """What to end with if no further request is let through: rather how the last one went."""
        self._is_shut_out = True
        return self._last or failed

    async def _ask_gate(self) -> Ticket:
        asked = _gates.submit(self._gate.enter, self._tool)
        try:
            return await asyncio.wrap_future(asked)
        except asyncio.CancelledError:
            if not asked.cancel():
                asked.add_done_callback(self._give_back)
            raise

    def _give_back(self, asked: Future[Ticket]) -> None:
        """Nobody waits any more for the place that was asked for."""
        if not asked.cancelled() and asked.exception() is None:
            _gates.submit(self._gate.leave, asked.result(), "neutral")

    async def _send(self, send: Send, key: str) -> Answer:
        began = time.monotonic()
        left = self._due - began
        self._was_cut = left < ENOUGH * self._tool.timeout
        try:
            async with asyncio.timeout(max(0.0, min(left, self._tool.timeout))) as limit:
                answer = await send(self._tool, key)
        except Exception as error:
            failed = timed_out(self._tool.name) if limit.expired() else from_error(self._tool.name, error)
            self._was_cut &= limit.expired()
            raise failed from None
        finally:
            self._took = 1000 * (time.monotonic() - began)
        self._status = answer.status
        return answer

    def _accept(self, answer: Answer) -> Any:
        """The answer's value in its one form, without the secret, if it is what was asked for."""
        name = self._tool.name
        value = strike_out(self._tool, answer.value)
        try:
            if self._usage is not None:
                tokens_in, tokens_out = self._usage(value)
                self._tokens = (self._tokens[0] + max(0, tokens_in), self._tokens[1] + max(0, tokens_out))
            value = parse(canonical(value, 2 * self._tool.max_bytes))
            if self._check is not None:
                self._check(value)
        except ToolFailed as failed:
            failed.status = failed.status or answer.status
            raise
        except BoundsError as error:
            log.info("%s answered JSON that %s", name, error)
            raise bad_output(name, "with JSON beyond the bounds of a value", answer.status) from None
        except Exception as error:
            log.warning("the answer of %s could not be checked: %s", name, type(error).__name__)
            raise bad_output(name, "with JSON of another form than expected", answer.status) from None
        return value

    def _judge(self, failed: ToolFailed) -> tuple[Verdict, float]:
        """What a failure says of the tool, and for how long it wants to be left alone.

        One that answers, be it a refusal or rubbish, is up: a probe that is refused closes the breaker.
        """
        pause = failed.retry_after or 0.0
        if failed.cls in _FAILED:
            return "neutral" if failed.cls == "timeout" and self._was_cut else "failed", pause
        return "ok" if failed.cls in _ANSWERED and failed.status is not None else "neutral", pause

    def _may_go_on(self, error: BaseException) -> bool:
        return isinstance(error, ToolFailed) and error.transient and not self._is_shut_out

    def _wait(self, state: RetryCallState) -> float:
        """Seconds until the next attempt: twice as long each time, less a share, and at least what the tool says."""
        tool = self._tool
        wait = min(tool.backoff_max, tool.backoff * 2.0 ** min(state.attempt_number - 1, 30))
        wait -= wait * tool.jitter * random.random()
        return max(wait, (self._last.retry_after if self._last else None) or 0.0)

    def _must_stop(self, state: RetryCallState) -> bool:
        """After the last attempt; or if the wait is longer than the tool allows, or than the run has time."""
        wait = state.upcoming_sleep
        return (
            state.attempt_number >= self._tool.attempts
            or wait > self._tool.backoff_max
            or time.monotonic() + wait >= self._due
        )
