"""Django's entry to the decision service."""

from django.apps import AppConfig

from runtime import failpoints


class RuntimeConfig(AppConfig):
    """The app `runtime`: jobs, journal, packs, rules."""

    name = "runtime"
    label = "runtime"
    verbose_name = "Converge"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Registers the system checks.
        from runtime import checks  # noqa: F401

        failpoints.warn_if_armed()
