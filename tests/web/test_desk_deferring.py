"""Putting a question off: out of the inbox and its badge, and back."""

from __future__ import annotations

import re

from django.contrib.auth.models import User
from django.test import Client

from converge_site.fragments.inbox import count_open
from converge_site.live.pages import render_page
from runtime.lease import database_clock
from runtime.models import AuditRecord, Conflict, Job
from tests.web.cast import signed_in
from tests.web.desk import HTMX, act, jobs, page, questions, text_of
from tests.web.test_deciding import decide, form_of

__all__ = ["jobs"]


def test_what_is_put_off_leaves_inbox_and_badge_and_is_listed_apart(otto: Client, jobs: list[Job]) -> None:
    first, *others = questions()
    assert count_open() == 4
    answer = act(otto, first, "defer", span="86400", reason="ask the <b>agency</b>")
    assert answer.status_code == 302
    assert count_open() == 3
    inbox = otto.get("/inbox/").content.decode()
    assert f'id="conflict-{first.pk}"' not in inbox
    assert f'id="conflict-{others[0].pk}"' in inbox
    assert "Put off (1)" in text_of(inbox)
    aside = otto.get("/inbox/?deferred=1").content.decode()
    assert f'id="conflict-{first.pk}"' in aside
    assert f'id="conflict-{others[0].pk}"' not in aside
    assert re.search("Put off by otto , back [-0-9: ]+UTC : “ ask the <b>agency</b> ”", text_of(aside))
    assert f'id="conflict-{first.pk}"' in render_page("inbox", "deferred=1")
    assert "Bring it back now" in aside
    Conflict.objects.filter(pk=first.pk).update(deferred_until=database_clock() - 1)
    assert count_open() == 4
    assert "Nothing is put off" in otto.get("/inbox/?deferred=1").content.decode()


def test_it_is_brought_back_from_its_card(otto: Client, jobs: list[Job]) -> None:
    first = questions()[0]
    act(otto, first, "defer", span="change")
    assert "Put off by otto until it changes" in text_of(page(otto, first))
    assert act(otto, first, "resume", HTMX).status_code == 200
    assert count_open() == 4
    assert "Put off by" not in text_of(page(otto, first))


def test_an_inbox_with_all_put_off_says_so(otto: Client, jobs: list[Job]) -> None:
    for conflict in questions():
        act(otto, conflict, "defer", span="3600")
    said = text_of(otto.get("/inbox/").content.decode())
    assert "Nobody waits for you" in said
    assert "4 questions are put off" in said


def test_putting_off_what_was_decided_gets_the_fresh_card(
    otto: Client, people: dict[str, User], jobs: list[Job]
) -> None:
    first = questions()[0]
    form = {**form_of(otto, first), "span": "3600", "reason": "typed"}
    ada = signed_in(people["ada"])
    decide(ada, first, form_of(ada, first), choice="1")
    answer = otto.post(f"/conflicts/{first.pk}/defer/", form)
    assert answer.status_code == 409
    assert f"ada has decided this already: keep {first.sides[1]['value']}." in text_of(
        answer.content.decode()
    )
    answer = otto.post(f"/conflicts/{questions()[1].pk}/defer/", {**form, "span": "never"})
    assert answer.status_code == 409 or answer.status_code == 422
    assert not AuditRecord.objects.filter(act="defer").exists()


def test_a_refused_form_comes_back_open_with_what_was_typed(otto: Client, jobs: list[Job]) -> None:
    first = questions()[0]
    answer = act(otto, first, "defer", HTMX, span="never", reason="half a thought")
    html = answer.content.decode()
    assert answer.status_code == 422
    assert "Choose for how long" in html
    assert re.search(r"<details[^>]* open><summary>Put it off", html)
    assert 'value="half a thought"' in html
