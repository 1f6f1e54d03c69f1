"""What can be wrong with a declaration."""

from __future__ import annotations

from runtime.engine.lint import PackError


class DeclarationError(PackError):
    """A pack says in code something that cannot be. The message names the thing and the way out."""
