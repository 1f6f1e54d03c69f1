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
from runtime.actions.backtests import cancel_backtest, start_backtest
from runtime.actions.bulk import Answered, decide_alike
from runtime.models import Decision
from tests.simulation.injection import PEOPLE, Bench
from tests.simulation.packs import SEEDED, make_seeds

# What a page shows; read at one moment, as by one look.
_OPEN = """
    SELECT id, kind, key, subject, version, sides FROM runtime_conflict WHERE job_id = ? AND status = 'open' ORDER BY id
"""
_ALIKE = """
    SELECT o.id, o.version FROM runtime_conflict c JOIN runtime_conflict o ON o.shape = c.shape AND o.id != c.id
    WHERE c.id = ? AND c.shape != '' AND o.status = 'open' ORDER BY o.id
"""
_RULES = """
    SELECT r.id FROM runtime_governancerule r JOIN runtime_pack p ON p.id = r.pack_id
    WHERE p.name = 'panel' ORDER BY r.id
"""
_PACK = "SELECT p.name FROM runtime_pack p JOIN runtime_job j ON j.pack_id = p.id WHERE j.id = ?"


class Asked(NamedTuple):
    """A question as somebody saw it."""

    id: int
    kind: str
    slot: str
    version: str
    sides: list[dict[str, Any]]


def _choice(asked: Asked, choice: int) -> dict[str, Any]:
    if asked.kind == "hold":
        return {"approve": choice % 3 != 2}
    values = [side["value"] for side in asked.sides]
    return {"none": True} if choice % 4 == 3 or not values else {"value": values[choice % len(values)]}


@dataclass
class Wish:
    """A form somebody filled in. `acks` are the rows it was answered with, `refusals` the codes, in order."""

    receipt: str
    what: str
    send: Callable[[], Any]
    posts: int = 0
    answers: list[int | str] = field(default_factory=list)
    others: dict[int, list[int | str]] = field(default_factory=dict)  # of a form about several, by question

    @property
    def acks(self) -> list[int]:
        """The rows that were confirmed."""
        return [answer for answer in self.answers if isinstance(answer, int)]

    @property
    def is_answered(self) -> bool:
        """Whether whoever sent it knows what came of it."""
        return bool(self.answers)

    @property
    def is_for_a_job(self) -> bool:
        """Whether it asks a row of a job's inbox."""
        return "backtest" not in self.what and not self.what.startswith("submit")


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
        if not asked or choice % 5 == 4:
            return self._meddle(user, receipt, job_id, choice // 5)
        one = asked[choice % len(asked)]
        if choice % 5 in (2, 3) and (others := self._bench.database.ask(_ALIKE, one.id)):
            return self._answer_alike(user, receipt, one, others, choice // 5)
        return self._answer(user, receipt, one, choice // 5)

    def wish_backtest(self, by: int, choice: int) -> Wish:
        """A rule of the panel to be tried on past jobs, or the last such try to be broken off."""
        user, receipt = self._user(by), f"receipt-{len(self.wishes)}"
        begun = self._bench.database.ask("SELECT max(id) FROM runtime_backtest")[0][0]
        if begun is not None and choice % 6 == 5:
            return self._wish(
                receipt, f"break off backtest {begun}", lambda: cancel_backtest(user, int(begun))
            )
        rules = self._bench.database.ask(_RULES)
        ((rule,),) = rules[choice % len(rules) :][:1]
        return self._wish(
            receipt, f"backtest rule {rule}", lambda: start_backtest(user, rule, 3, receipt=receipt)
        )

    def _answer_alike(
        self, user: User, receipt: str, asked: Asked, others: list[tuple[int, str]], choice: int
    ) -> Wish:
        """One question and all like it, in whatever job, answered by one form."""
        given = _choice(asked, choice)
        wish = self._wish(
            receipt,
            f"{given} on {asked.slot} and {len(others)} like it",
            lambda: self._note_others(
                wish, decide_alike(user, asked.id, asked.version, given, others, receipt=receipt)
            ),
        )
        return wish

    @staticmethod
    def _note_others(wish: Wish, said: list[Answered]) -> Decision:
        for one in said[1:]:
            answer = one.decision.pk if one.decision is not None else "refused"
            wish.others.setdefault(one.conflict_id, []).append(answer)
        assert said[0].decision is not None
        return said[0].decision

    def _answer(self, user: User, receipt: str, asked: Asked, choice: int) -> Wish:
        if asked.kind == "hold":
            yes = _choice(asked, choice)["approve"]
            return self._wish(
                receipt,
                f"{'approve' if yes else 'refuse'} {asked.slot}",
                lambda: actions.answer_hold(user, asked.id, asked.version, yes, receipt=receipt),
            )
        said = _choice(asked, choice)
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
