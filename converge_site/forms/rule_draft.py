"""The form of a draft on the site's own pages, for operators too: the admin's form, in the look of the site."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.models import User

from converge_site.admin.rules import RuleForm
from runtime.actions.rules import change_draft, draft_rule
from runtime.models import GovernanceRule, Pack

_DATE = "%Y-%m-%dT%H:%M"


class DraftForm(RuleForm):
    """A draft that is written or changed. `by` is who does."""

    expires_at = forms.DateTimeField(
        required=False,
        label="Expires at (UTC)",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format=_DATE),
        help_text="Jobs submitted after this moment do not freeze it any more. Empty: it does not expire.",
    )
    why = forms.CharField(label="Why", max_length=500, help_text="Is kept with the version, with your name.")

    def __init__(self, by: User, *args: Any, **kwargs: Any) -> None:
        self.by = by
        super().__init__(*args, **kwargs)
        plain = {
            "keys": forms.TextInput(),
            "params": forms.Textarea(attrs={"rows": 3, "class": "code slim", "spellcheck": "false"}),
            "message": forms.TextInput(attrs={"maxlength": 500}),
        }
        for name, widget in plain.items():
            self.fields[name].widget = widget
        editor: Any = self.fields["expression"].widget
        editor.attrs = {}
        if self.instance.pk:
            del self.fields["pack"]
            if self.instance.origin == "code":
                del self.fields["name"]

    def _post_clean(self) -> None:
        """The row is the action's to write: nothing is set on it here."""

    def save_draft(self) -> GovernanceRule:
        """`change_draft`, or `draft_rule`. Raises Refused."""
        said, why = self.cleaned_data, self.cleaned_data["why"]
        if self.instance.pk:
            return change_draft(self.by, self.instance.pk, self.changes(), why, version=said.get("version"))
        pack: Pack = said["pack"]
        return draft_rule(self.by, pack.pk, self.settings(), why, expires_at=said["expires_at"])
