"""Tells an editor what is wrong with a CEL expression while somebody types it."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_POST

from converge_site.people import for_people, person_of
from converge_site.whole_numbers import read_whole
from runtime.actions.cel_faults import find_fault
from runtime.actions.pack_specs import pack_spec_from_rows
from runtime.actions.permissions import may
from runtime.models import Pack

MOST_BYTES = (
    32 * 1024
)  # of the whole form; an expression has 2,048 characters, of up to 12 bytes each as they are sent


@for_people
@require_POST
def check_expression(request: HttpRequest) -> JsonResponse:
    """POST `kind`, `expression` and `pack` (an id): {"ok": true}, or what is wrong with line and column."""
    verdict = may(person_of(request), "propose_rule")
    if not verdict.allowed:
        return _fault(verdict.why, 403)
    try:
        length = int(request.headers.get("Content-Length") or 0)
    except ValueError:
        length = MOST_BYTES + 1
    if length > MOST_BYTES:
        return _fault("The expression is far beyond the limit of 2,048 characters.", 413)
    pack = Pack.objects.filter(pk=read_whole(request.POST.get("pack", "")) or 0).first()
    if pack is None:
        return _fault("Choose the pack first: its keys are what an expression can look up.", 422)
    expression, kind = request.POST.get("expression", ""), request.POST.get("kind", "")
    fault = find_fault(kind, expression, pack_spec_from_rows(pack))
    if fault is None:
        return JsonResponse({"ok": True})
    place = {"line": fault.line, "column": fault.column, "excerpt": fault.excerpt, "caret": fault.caret}
    return JsonResponse({"ok": False, "message": fault.message, **place})


def _fault(message: str, status: int) -> JsonResponse:
    return JsonResponse({"ok": False, "message": message, "line": 0, "column": 0}, status=status)
