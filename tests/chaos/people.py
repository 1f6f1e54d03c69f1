"""People who use the pages while the installation is disturbed: they submit, decide, approve and cancel by POST, try
again with the same receipt when no answer came, and now and then send twice what was acknowledged."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from tests.chaos.house import HOST, House

TOKEN = "a" * 32  # the same in cookie and form is what Django asks for
PATIENCE = 4.0  # seconds for an answer
ALONG = 0.5  # the share of forms that answer all like questions at once


@dataclass
class Post:
    """One form that was sent, perhaps several times. `status` is what the last answer was, 0 for none."""

    by: str
    path: str
    fields: dict[str, str | list[str]]
    receipt: str
    act: str
    status: int = 0
    place: str = ""  # where it led to
    times: int = 0
    unanswered: int = 0
    said: str = ""

    @property
    def is_acknowledged(self) -> bool:
        """Whether the person was told that it is done."""
        return 200 <= self.status < 400

    @property
    def is_refused(self) -> bool:
        """Whether the person was told that it is not."""
        return 400 <= self.status < 500


@dataclass
class Book:
    """All that people did in one run; the jobs they submitted, pack by id; and the backtests they began."""

    posts: list[Post] = field(default_factory=list)
    jobs: dict[int, str] = field(default_factory=dict)
    backtests: list[int] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


class People:
    """Sends forms. `twice` is the share of acknowledged ones that is sent again."""

    def __init__(self, house: House, book: Book, draws: random.Random, twice: float = 0.2) -> None:
        from django.conf import settings

        self.house, self.book, self.draws, self.twice = house, book, draws, twice
        self._cookies = settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME
        self._ended = threading.Event()

    def submit(self, pack: str, seeds: list[dict[str, Any]], by: str = "otto", until: float = 60.0) -> int:
        """Submits until the page of the job is the answer; gives its number."""
        key = uuid.uuid4().hex
        fields: dict[str, str | list[str]] = {
            "pack": pack,
            "mode": "paste",
            "text": json.dumps(seeds),
            "do": "create",
            "submit_key": key,
        }
        post = Post(by, "/jobs/new", fields, key, "submit")
        if not self.insist(post, until):
            raise RuntimeError(f"a job could not be submitted: {post.status} {post.said[:300]}")
        number = int(post.place.strip("/").rpartition("/")[2])
        with self.book.lock:
            self.book.jobs[number] = pack
        return number

    def cancel(self, job: int, by: str = "otto") -> Post:
        """Cancels a job."""
        post = Post(by, f"/jobs/{job}/cancel/", {}, uuid.uuid4().hex, "cancel")
        self.insist(post)
        return post

    def insist(self, post: Post, seconds: float = 60.0) -> bool:
        """Sends a form until somebody answers it; True if it was acknowledged."""
        with self.book.lock:
            self.book.posts.append(post)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.send(post)
            if post.is_acknowledged or post.is_refused:
                break
            self._ended.wait(0.2)
        if post.is_acknowledged and self.draws.random() < self.twice:
            first = post.place
            again = Post(post.by, post.path, post.fields, post.receipt, post.act)
            self.send(again)
            if again.is_acknowledged and again.place != first:
                post.said = f"sent again, it led to {again.place} instead of {first}"
                post.status = -1
            elif again.is_refused:
                post.said = f"sent again, it was refused: {again.status} {again.said[:300]}"
                post.status = -1
            post.times += again.times
        return post.is_acknowledged

    def send(self, post: Post) -> None:
        """Sends a form once."""
        session, csrf = self._cookies
        fields = {**post.fields, "csrfmiddlewaretoken": TOKEN}
        if post.act != "submit":
            fields["receipt"] = post.receipt
        post.times += 1
        line = http.client.HTTPConnection(HOST, self.house.port, timeout=PATIENCE)
        try:
            line.request(
                "POST",
                post.path,
                urlencode(fields, doseq=True),
                {
                    "Content-Type": "application/x-www-form-urlencoded",
                    "Cookie": f"{session}={self.house.sessions[post.by]}; {csrf}={TOKEN}",
                },
            )
            answer = line.getresponse()
            post.said = answer.read().decode(errors="replace") if answer.status >= 400 else ""
            post.status, post.place = answer.status, answer.getheader("Location") or ""
        except (OSError, http.client.HTTPException) as error:
            post.unanswered += 1
            post.status, post.said = 0, f"{type(error).__name__}: {error}"
        finally:
            line.close()

    # Answering questions

    def start_answering(self) -> None:
        """Decides and approves whatever is asked in jobs of this run, until told to end."""
        self._thread = threading.Thread(target=self._answer, name="people", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Nobody answers any more."""
        self._ended.set()
        self._thread.join(60)

    def _answer(self) -> None:
        from django.db import DatabaseError, connections

        done: set[tuple[int, str, str]] = set()
        while not self._ended.wait(0.1):
            try:
                for post, mark in self._open_questions(done):
                    done.add(mark)
                    self.insist(post)
                    if self._ended.is_set():
                        break
            except DatabaseError:
                connections.close_all()
        connections.close_all()

    def _open_questions(self, done: set[tuple[int, str, str]]) -> list[tuple[Post, tuple[int, str, str]]]:
        from runtime.models import Conflict

        with self.book.lock:
            jobs = list(self.book.jobs)
        wanted = []
        # What has a deadline is left to the clock.
        rows = Conflict.objects.filter(job_id__in=jobs, status="open", deadline_at=None).order_by("id")
        for row in (found := list(rows)):
            for by in ("olga", "oscar") if row.kind == "hold" else ("otto",):
                mark = (row.pk, row.version, by)
                if mark not in done:
                    wanted.append((self._answer_to(row, by, found), mark))
        return wanted

    def _answer_to(self, row: Any, by: str, found: Sequence[Any]) -> Post:
        """The form of one question, as the page fills it in; now and then with the like ones ticked."""
        from converge_site.forms.decide import name_of_value

        is_hold = row.kind == "hold"
        choice = (
            "approve" if is_hold else name_of_value(row.sides[len(row.subject) % len(row.sides)]["value"])
        )
        fields: dict[str, str | list[str]] = {"choice": choice, "version": row.version, "rule": row.rule}
        like = [
            f"{other.pk}:{other.version}" for other in found if other.shape == row.shape and other is not row
        ]
        if like and self.draws.random() < ALONG:
            fields |= {"along": "1", "like": like}
        path, act = f"/conflicts/{row.pk}/decide/", "approve" if is_hold else "decide"
        return Post(by, path, fields, uuid.uuid4().hex, act)

    # Trying rules

    def try_rule(self, pack: str, seconds: float = 60.0) -> None:
        """Begins a backtest of the pack's first rule, as soon as there is a job to try it on."""
        from django.contrib.auth.models import User
        from django.db import DatabaseError, connections

        from runtime.actions import Refused
        from runtime.actions.backtests import start_backtest
        from runtime.models import GovernanceRule

        receipt, until = uuid.uuid4().hex, time.monotonic() + seconds
        while time.monotonic() < until and not self._ended.wait(0.1):
            try:
                rule = GovernanceRule.objects.filter(pack__name=pack).order_by("id")[0]
                begun = start_backtest(User.objects.get(username="otto"), rule.pk, receipt=receipt)
            except Refused:
                continue  # no job has been run yet
            except DatabaseError:
                connections.close_all()
                continue
            with self.book.lock:
                self.book.backtests.append(begun.pk)
            return
