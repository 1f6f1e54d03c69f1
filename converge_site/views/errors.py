"""Pages for what goes wrong, in the look of all others."""

from __future__ import annotations

import logging
import sys

from django.http import HttpRequest, HttpResponse
from django.template import loader

from converge_site.fragments.moment import NoSuchMoment
from converge_site.views.refusals import render_error
from runtime.storage_trouble import FULL, Trouble, trouble_in

log = logging.getLogger(__name__)


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
    told = str(exception) if isinstance(exception, NoSuchMoment) else "There is no such page, or it is gone."
    return render_error(request, 404, "Not here", told)


def server_error(request: HttpRequest) -> HttpResponse:
    """500, or 507 and 503 where the database cannot be written: a page that needs neither database nor session."""
    trouble = trouble_in(sys.exc_info()[1])
    status = 500 if trouble is None else 507 if trouble.kind == FULL else 503
    page = loader.get_template("pages/500.html").render({"status": status, "sentence": _sentence(trouble)})
    answer = HttpResponse(page, status=status)
    if trouble is not None:
        log.error("%s", trouble.text)
        answer["Retry-After"] = "10"
    return answer


def _sentence(trouble: Trouble | None) -> str:
    """For whoever sent the request, who may not learn where things lie; the log says it all."""
    if trouble is None:
        return ""
    return f"The database takes nothing now: {trouble.cause}. What you sent was not taken."
