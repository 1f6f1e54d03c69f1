"""Form fields for what rows keep as JSON."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminExpandableTextareaWidget, UnfoldAdminTextInputWidget

from runtime.engine import BoundsError
from runtime.engine.values import load_json

MOST_BYTES = 16 * 1024


class NamesField(forms.CharField):
    """A list of names, typed with commas between them."""

    widget = UnfoldAdminTextInputWidget

    def to_python(self, value: Any) -> Any:
        """The names in the order given, without doubles."""
        if isinstance(value, list):
            return value
        return list(dict.fromkeys(part.strip() for part in str(value or "").split(",") if part.strip()))

    def prepare_value(self, value: Any) -> Any:
        """The names as they are typed."""
        return ", ".join(value) if isinstance(value, list) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether other names were typed, or another order."""
        return bool(self.to_python(initial) != self.to_python(data))

    def validate(self, value: Any) -> None:
        """Whether names are needed at all is for the action to say."""

    def run_validators(self, value: Any) -> None:
        """None: they are made for text."""


class ObjectField(forms.CharField):
    """A JSON object. What is wrong with it is told with line and column."""

    widget = UnfoldAdminExpandableTextareaWidget

    def __init__(
        self, *, example: str = '{"margin": 0.4}', most_bytes: int = MOST_BYTES, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.example = example
        self.most_bytes = most_bytes

    def to_python(self, value: Any) -> Any:
        """The object; an empty field is an empty object."""
        if not isinstance(value, str):
            return {} if value is None else value
        if not value.strip():
            return {}
        try:
            found = load_json(value, self.most_bytes)
        except BoundsError as error:
            raise ValidationError(f"This {error}.") from None
        if not isinstance(found, dict):
            raise ValidationError(f"This must be a JSON object, such as {self.example}.")
        return found

    def prepare_value(self, value: Any) -> Any:
        """The object as text."""
        return value if isinstance(value, str) else json.dumps(value or {}, ensure_ascii=False, indent=1)

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether it says something else, not whether it is spaced otherwise."""
        try:
            return bool(self.to_python(initial) != self.to_python(data))
        except ValidationError:
            return True

    def validate(self, value: Any) -> None:
        """Its contents are for the action to judge."""

    def run_validators(self, value: Any) -> None:
        """None: they are made for text."""
