"""Pages for what goes wrong, in the look of all others."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.template import loader

from converge_site.views.refusals import render_error


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400."""
    return render_error(
        request, 400, "That request makes no sense", "The address or the form could not be read."
    )


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403, with the sentence the gate gave."""
    return render_error(request, 403, "Not yours to do", str(exception) or "Your role does not allow this.")


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form whose token is missing or old."""
    message = "The form was too old, or came from elsewhere. Go back, reload the page and send it again."
    return render_error(request, 403, "This form has expired", message)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404."""
    return render_error(request, 404, "Not here", "There is no such page, or it is gone.")


def server_error(request: HttpRequest) -> HttpResponse:
    """500: a page that needs neither the database nor the session."""
    return HttpResponse(loader.get_template("pages/500.html").render(), status=500)
