"""Views of the Jobs page that a team shares: a filter with a name."""

from __future__ import annotations

from django.db import IntegrityError, transaction

from runtime.actions.audit import Person, name_of, record_act
from runtime.actions.permissions import may, require
from runtime.actions.refusals import Refused
from runtime.actions.texts import check_text
from runtime.models import SavedView

MOST_VIEWS = 50
MOST_NAME = 60
MOST_QUERY = 1_000


def save_view(user: Person, name: str, query: str) -> SavedView:
    """Gives a filter of the Jobs page, as a query string, a name for all. Raises Refused.

    The same filter under the same name again is the view that is there already.
    """
    require(user, "save_view")
    name = " ".join(name.split())
    _check(name, query)
    try:
        with transaction.atomic():
            if known := SavedView.objects.filter(name__iexact=name).first():
                return _same(known, query)
            if SavedView.objects.count() >= MOST_VIEWS:
                raise Refused(f"There are {MOST_VIEWS} views already, which is the most; delete one first.")
            view = SavedView.objects.create(name=name, query=query, by_id=user.pk, by_name=name_of(user))
            record_act(user, "save_view", f"view:{name}", query=query)
            return view
    except IntegrityError:
        return _same(SavedView.objects.get(name=name), query)  # saved at the same moment


def delete_view(user: Person, view_id: int) -> str:
    """Takes a view away, by who saved it or by an admin; its name. Raises Refused."""
    require(user, "save_view")
    with transaction.atomic():
        view = SavedView.objects.select_for_update().filter(pk=view_id).first()
        if view is None:
            raise Refused("There is no such view any more.", code="gone")
        if not may_delete(user, view):
            raise Refused(
                f"“{view.name}” is a view of {view.by_name}: they, or an admin, can delete it.",
                code="forbidden",
            )
        record_act(user, "delete_view", f"view:{view.name}", query=view.query, by=view.by_name)
        view.delete()
        return view.name


def may_delete(user: Person, view: SavedView) -> bool:
    """Whether this person may take it away."""
    is_own = view.by_id is not None and view.by_id == user.pk
    return (is_own and may(user, "save_view").allowed) or may(user, "configure").allowed


def _check(name: str, query: str) -> None:
    if not name:
        raise Refused("A view needs a name.", field="name")
    check_text("name", name, MOST_NAME)
    if not name.isprintable():
        raise Refused("The name holds a character that cannot be seen.", field="name")
    if not query:
        raise Refused("There is no filter to save: choose some first.", field="query")
    check_text("filter", query, MOST_QUERY)


def _same(known: SavedView, query: str) -> SavedView:
    if known.query == query:
        return known
    raise Refused(
        f"There is a view of that name already, “{known.name}” by {known.by_name}; choose another name.",
        field="name",
    )
