"""Django's entry to the pages."""

from django.apps import AppConfig


class ConvergeSiteConfig(AppConfig):
    """The app `converge_site`: it has pages, templates tags and commands, and no tables."""

    name = "converge_site"
    label = "converge_site"
