"""Saved views: a filter with a name, for the whole team."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from converge_site.fragments.job_filter import JobFilter
from converge_site.live.pages import render_page
from runtime.actions import Refused
from runtime.actions.saved_views import MOST_NAME, MOST_VIEWS, delete_view, save_view
from runtime.models import AuditRecord, SavedView
from tests.web.cast import signed_in
from tests.web.test_jobs_list import make_jobs, titles


@pytest.fixture
def olga(people: dict[str, User]) -> User:
    """Another operator."""
    user = User.objects.create_user("olga", password="pass of olga")
    user.groups.add(Group.objects.get_or_create(name="operator")[0])
    return user


def links(html: str) -> list[str]:
    nav = re.search(r'<nav id="saved-views".*?</nav>', html, re.DOTALL)
    assert nav
    return re.findall(r"<bdi>([^<]+)</bdi>", nav.group())


def test_a_view_that_one_saves_all_see_and_use(otto: Client, vera: Client, people: dict[str, User]) -> None:
    make_jobs(people["otto"], 2, status="waiting")
    make_jobs(people["otto"], 1, status="failed")
    answer = otto.post("/jobs/views/", {"name": " Waits   for us ", "query": "q=&status=waiting"})
    assert answer["Location"] == "/?status=waiting"
    html = vera.get("/").content.decode()
    assert links(html) == ["Waits for us"]
    assert 'href="/?status=waiting"' in html
    assert len(titles(vera, "/?status=waiting")) == 2
    assert links(render_page("jobs", "")) == ["Waits for us"]  # whoever looks at the list gets it by a push


def test_the_view_that_is_looked_at_is_marked(otto: Client, people: dict[str, User]) -> None:
    save_view(people["otto"], "growth, stuck", JobFilter(status="stuck", pack="growth").query)
    html = otto.get("/?pack=growth&status=stuck&tier=").content.decode()
    assert re.search(r'aria-current="page"><bdi>growth, stuck</bdi>', html)
    assert not re.search(r'aria-current="page">All jobs', html)
    assert re.search(r'aria-current="page">All jobs', otto.get("/").content.decode())


def test_what_is_done_is_on_record(people: dict[str, User]) -> None:
    view = save_view(people["otto"], "mine", "status=waiting")
    delete_view(people["ada"], view.pk)
    records = list(AuditRecord.objects.order_by("id").values_list("who_name", "act", "target", "detail"))
    assert records[-2:] == [
        ("otto", "save_view", "view:mine", {"query": "status=waiting"}),
        ("ada", "delete_view", "view:mine", {"query": "status=waiting", "by": "otto"}),
    ]


def test_the_same_form_twice_is_one_view(people: dict[str, User]) -> None:
    assert save_view(people["otto"], "mine", "tier=1") == save_view(people["otto"], "mine", "tier=1")
    assert SavedView.objects.count() == 1
    assert AuditRecord.objects.filter(act="save_view").count() == 1


def test_a_name_is_given_once(otto: Client, people: dict[str, User], olga: User) -> None:
    save_view(olga, "Night shift", "status=waiting")
    answer = otto.post("/jobs/views/", {"name": "night SHIFT", "query": "status=failed"})
    html = answer.content.decode()
    assert answer.status_code == 422
    assert "“Night shift” by olga" in html
    assert 'value="night SHIFT"' in html  # what was typed is still there, and the filter too
    assert 'name="query" value="status=failed"' in html


@pytest.mark.parametrize(
    ("name", "query", "says"),
    [
        ("", "tier=1", "needs a name"),
        ("   ", "tier=1", "needs a name"),
        ("x" * (MOST_NAME + 1), "tier=1", f"limit is {MOST_NAME}"),
        ("a\u202eb", "tier=1", "cannot be seen"),
        ("fine", "", "no filter to save"),
        ("fine", "q=" + "x" * 1000, "limit is 1,000"),
    ],
)
def test_what_makes_no_view_is_refused_with_the_way_out(
    people: dict[str, User], name: str, query: str, says: str
) -> None:
    with pytest.raises(Refused, match=re.escape(says)):
        save_view(people["otto"], name, query)
    assert not SavedView.objects.exists()


def test_there_are_only_so_many(people: dict[str, User]) -> None:
    for number in range(MOST_VIEWS):
        save_view(people["otto"], f"view {number}", "tier=1")
    with pytest.raises(Refused, match="delete one first"):
        save_view(people["otto"], "one more", "tier=1")


def test_who_saved_it_and_admins_delete_it(people: dict[str, User], olga: User) -> None:
    mine, other = (save_view(people["otto"], name, "tier=1") for name in ("mine", "other"))
    for person in (olga, people["vera"]):
        with pytest.raises(Refused) as refused:
            delete_view(person, mine.pk)
        assert refused.value.code == "forbidden"
    delete_view(people["otto"], mine.pk)
    delete_view(people["ada"], other.pk)
    assert not SavedView.objects.exists()
    with pytest.raises(Refused) as refused:
        delete_view(people["otto"], mine.pk)
    assert refused.value.code == "gone"


def test_the_page_of_views_offers_what_one_may(
    otto: Client, vera: Client, people: dict[str, User], olga: User
) -> None:
    mine = save_view(people["otto"], "mine", "status=waiting&pack=growth")
    hers = save_view(olga, "hers", "q=%3Cb%3E")
    html = otto.get("/jobs/views/").content.decode()
    assert f"/jobs/views/{mine.pk}/delete/" in html
    assert f"/jobs/views/{hers.pk}/delete/" not in html
    assert "waiting for people, pack growth" in html
    assert "“&lt;b&gt;”" in html
    assert "/delete/" not in vera.get("/jobs/views/").content.decode()
    assert "/delete/" in signed_in(people["ada"]).get("/jobs/views/").content.decode()


def test_views_outlive_who_saved_them(people: dict[str, User], olga: User) -> None:
    view = save_view(olga, "hers", "tier=1")
    olga.delete()
    view.refresh_from_db()
    assert (view.by, view.by_name) == (None, "olga")
    with pytest.raises(Refused):
        delete_view(people["otto"], view.pk)
    delete_view(people["ada"], view.pk)


def test_without_a_filter_nothing_is_offered_to_be_saved(otto: Client, vera: Client) -> None:
    assert "Save this view" not in otto.get("/").content.decode()
    assert "Save this view" in otto.get("/?tier=1").content.decode()
    assert "Save this view" not in vera.get("/?tier=1").content.decode()
