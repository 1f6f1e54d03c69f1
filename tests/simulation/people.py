"""People: what they want of a job, posted once, twice, or again because no answer came."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
from django.contrib.auth.models import User
from django.db import OperationalError

from runtime import actions
from runtime.actions import Refused
from tests.simulation.injection import PEOPLE, Bench
from tests.simulation.packs import SEEDED, make_seeds

# What a page shows; read at one moment, as by one look.
_OPEN = """
    SELECT id, kind, key, subject, version, sides FROM runtime_conflict WHERE job_id = ? AND status = 'open' ORDER BY id
"""
_PACK = "SELECT p.name FROM runtime_pack p JOIN runtime_job j ON j.pack_id = p.id WHERE j.id = ?"


class Asked(NamedTuple):
    """A question as somebody saw it."""

    id: int
    kind: str
    slot: str
    version: str
    sides: list[dict[str, Any]]


@dataclass
class Wish:
    """A form somebody filled in. `acks` are the rows it was answered with, `refusals` the codes, in order."""

    receipt: str
    what: str
    send: Callable[[], Any]
    posts: int = 0
    answers: list[int | str] = field(default_factory=list)

    @property
    def acks(self) -> list[int]:
        """The rows that were confirmed."""
        return [answer for answer in self.answers if isinstance(answer, int)]

    @property
    def is_answered(self) -> bool:
        """Whether whoever sent it knows what came of it."""
        return bool(self.answers)


class People:
    """Some operators and the forms they filled in."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._users = {
            user.username: user for user in User.objects.filter(username__in=PEOPLE).order_by("id")
        }
        self.wishes: list[Wish] = []

    def wish_job(self, by: int, pack: str, seeds: int, first: int) -> Wish:
        """A job to be submitted."""
        user, key = self._user(by), f"submit-{len(self.wishes)}"
        given = make_seeds(pack, seeds, first)
        return self._wish(
            key, f"submit {pack}", lambda: actions.submit_job(user, pack, given, submit_key=key)
        )

    def wish_act(self, by: int, job_id: int, choice: int) -> Wish:
        """What somebody makes of a job as it looks now: an answer to one of its questions, or something else."""
        user, receipt = self._user(by), f"receipt-{len(self.wishes)}"
        asked = [
            Asked(pk, kind, f"{key}/{subject}", version, orjson.loads(sides))
            for pk, kind, key, subject, version, sides in self._bench.database.ask(_OPEN, job_id)
        ]
        if asked and choice % 5 != 4:
            return self._answer(user, receipt, asked[choice % len(asked)], choice // 5)
        return self._meddle(user, receipt, job_id, choice // 5)

    def _answer(self, user: User, receipt: str, asked: Asked, choice: int) -> Wish:
        if asked.kind == "hold":
            yes = choice % 3 != 2
            return self._wish(
                receipt,
                f"{'approve' if yes else 'refuse'} {asked.slot}",
                lambda: actions.answer_hold(user, asked.id, asked.version, yes, receipt=receipt),
            )
        values = [side["value"] for side in asked.sides]
        said = {"none": True} if choice % 4 == 3 or not values else {"value": values[choice % len(values)]}
        return self._wish(
            receipt,
            f"decide {asked.slot}: {said}",
            lambda: actions.decide_conflict(user, asked.id, asked.version, said, receipt=receipt),
        )

    def _meddle(self, user: User, receipt: str, job_id: int, choice: int) -> Wish:
        ((pack,),) = self._bench.database.ask(_PACK, job_id)
        key, subject = SEEDED[pack], f"s{choice % 3}"
        match choice % 8:
            case 0 | 1 | 2 | 3:
                value = choice % 7
                return self._wish(
                    receipt,
                    f"add {key}/{subject} = {value}",
                    lambda: actions.add_fact(user, job_id, key, subject, value, 0.7, receipt=receipt),
                )
            case 4:
                return self._wish(
                    receipt,
                    f"withdraw {key}/{subject}",
                    lambda: actions.withdraw_fact(user, job_id, key, subject, receipt=receipt),
                )
            case 5 | 6:
                return self._wish(receipt, "retry", lambda: actions.retry_job(user, job_id, receipt=receipt))
            case _:
                return self._wish(
                    receipt, "cancel", lambda: actions.cancel_job(user, job_id, receipt=receipt)
                )

    def _wish(self, receipt: str, what: str, send: Callable[[], Any]) -> Wish:
        wish = Wish(receipt, what, send)
        self.wishes.append(wish)
        return wish

    def _user(self, by: int) -> User:
        return self._users[PEOPLE[by % len(PEOPLE)]]

    def post(self, wish: Wish) -> None:
        """One POST, in a thread of the web process: its answer may get lost on the way back."""
        wish.posts += 1
        try:
            answer: int | str = wish.send().pk
        except Refused as refused:
            answer = refused.code
        except OperationalError:
            return  # "something went wrong", says the page, and the form is still there
        self._bench.turns.pause("answer a POST")
        wish.answers.append(answer)
