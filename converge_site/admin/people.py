"""People and groups."""

from __future__ import annotations

import copy
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest, HttpResponse
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from converge_site.admin.base import ActingAdmin, ReasonedForm, saying_refusals
from converge_site.admin.site import site
from runtime.actions import role_of
from runtime.actions.people import (
    PERSON_SETTINGS,
    add_group,
    add_person,
    change_person,
    delete_group,
    rename_group,
    set_password,
)

ROLES_HELP = "viewer reads; operator also submits, decides and approves; admin also configures."


def _groups_field() -> forms.ModelMultipleChoiceField[Group]:
    return forms.ModelMultipleChoiceField(
        Group.objects.order_by("name"),
        required=False,
        help_text=ROLES_HELP,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )


class PersonForm(ReasonedForm, UserChangeForm):
    """Somebody who is there already."""

    groups = _groups_field()


class NewPersonForm(ReasonedForm, UserCreationForm):
    """Somebody new."""

    groups = _groups_field()


@admin.register(User, site=site)
class PersonAdmin(ActingAdmin, UserAdmin):  # type: ignore[misc,type-arg]
    """Who may sign in, and in which role. Nobody is deleted: records name them; make them inactive
    instead."""

    form = PersonForm
    add_form = NewPersonForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "shown_role", "first_name", "last_name", "is_active", "last_login")
    list_filter = ("is_active", "groups")
    filter_horizontal = ()
    readonly_fields = ("last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("username", "password", "is_active", "groups", "why")}),
        ("About", {"fields": (("first_name", "last_name"), "email", ("last_login", "date_joined"))}),
    )
    add_fieldsets = (
        (None, {"fields": ("username", "usable_password", "password1", "password2", "groups", "why")}),
    )

    def act(self, request: HttpRequest, row: Any, form: Any, change: bool) -> User:
        """`change_person`, or `add_person`."""
        said, why = form.cleaned_data, form.cleaned_data["why"]
        if change:
            changes = {name: said[name] for name in form.changed_data if name in PERSON_SETTINGS}
            groups = said["groups"] if "groups" in form.changed_data else None
            return change_person(form.by, row.pk, changes, groups, why)
        return add_person(form.by, said["username"], said.get("password1") or None, said["groups"], why)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """Django's page, with a form that calls `set_password`."""
        by: Any = request.user

        class Form(AdminPasswordChangeForm):
            def save(self, commit: bool = True) -> User:
                usable = self.cleaned_data.get("set_usable_password", True)
                return set_password(by, self.user, self.cleaned_data["password1"] if usable else None)

        page = copy.copy(self)  # the page's class is shared by all requests, this form is not
        page.change_password_form = Form
        return saying_refusals(request, lambda: UserAdmin.user_change_password(page, request, id, form_url))

    @admin.display(description="Role", empty_value="none")
    def shown_role(self, person: User) -> str | None:
        """The highest role of the person's groups."""
        return role_of(person) or None


class GroupForm(ReasonedForm):
    """A group's name."""

    class Meta:
        model = Group
        fields = ("name",)


@admin.register(Group, site=site)
class GroupAdmin(ActingAdmin):
    """The three roles, and groups that approval rules may name."""

    form = GroupForm
    list_display = ("name", "shown_members")
    search_fields = ("name",)

    def act(self, request: HttpRequest, row: Any, form: Any, change: bool) -> Group:
        """`rename_group`, or `add_group`."""
        name, why = form.cleaned_data["name"], form.cleaned_data["why"]
        return rename_group(form.by, row.pk, name, why) if change else add_group(form.by, name, why)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether a group may go is for the action to say."""
        return self.has_change_permission(request, obj)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """`delete_group`."""
        delete_group(request.user, obj.pk, "deleted in the admin")

    @admin.display(description="Members", empty_value="nobody")
    def shown_members(self, group: Group) -> str | None:
        """Who is in it."""
        return ", ".join(group.user_set.order_by("username").values_list("username", flat=True)) or None
