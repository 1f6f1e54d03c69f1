"""Every address of the site."""

from __future__ import annotations

from django.urls import path

from converge_site.admin.site import site as admin_site
from converge_site.health import healthz
from converge_site.sign_in import sign_in_with_link
from converge_site.views import (
    answers,
    conflict,
    inbox,
    job,
    job_action,
    jobs,
    new_job,
    packs,
    preview,
    sessions,
    slot,
    tools,
    verify,
    weather,
)

urlpatterns = [
    path("", jobs.jobs, name="jobs"),
    path("jobs/new", new_job.new_job, name="new_job"),
    path("jobs/<int:job_id>/", job.job, name="job"),
    path("jobs/<int:job_id>/action/", job_action.job_action, name="job_action"),
    path("jobs/<int:job_id>/cancel/", job_action.cancel, name="cancel_job"),
    path("jobs/<int:job_id>/retry/", job_action.retry, name="retry_job"),
    path("jobs/<int:job_id>/journal/", job.journal, name="journal"),
    path("jobs/<int:job_id>/entries/<int:seq>/", job.entry, name="entry"),
    path("jobs/<int:job_id>/slots/", slot.slot, name="slot"),
    path("jobs/<int:job_id>/slots/forms/", slot.forms, name="slot_forms"),
    path("jobs/<int:job_id>/slots/decide/", slot.decide, name="decide_slot"),
    path("jobs/<int:job_id>/slots/undo/", slot.undo, name="undo"),
    path("jobs/<int:job_id>/slots/say/", slot.say, name="say"),
    path("jobs/<int:job_id>/slots/withdraw/", slot.withdraw, name="withdraw"),
    path("jobs/<int:job_id>/facts/new", slot.new_fact, name="new_fact"),
    path("jobs/<int:job_id>/context/", job.context, name="context"),
    path("jobs/<int:job_id>/answers/<int:version>/", answers.answer, name="answer"),
    path("jobs/<int:job_id>/answers/<int:version>.json", answers.answer_json, name="answer_json"),
    path("jobs/<int:job_id>/answers/<int:old>..<int:new>/", answers.compare, name="compare_answers"),
    path("jobs/<int:job_id>/weather/", weather.weather, name="weather"),
    path("jobs/<int:job_id>/verify/", verify.verify, name="verify_job"),
    path("jobs/<int:job_id>/bundle", verify.bundle, name="bundle"),
    path("conflicts/<int:conflict_id>/", conflict.conflict, name="conflict"),
    path("conflicts/<int:conflict_id>/decide/", conflict.decide, name="decide"),
    path("conflicts/<int:conflict_id>/preview/", preview.preview, name="preview"),
    path("inbox/", inbox.inbox, name="inbox"),
    path("tools/", tools.tools, name="tools"),
    path("tools/<slug:name>/", tools.tool, name="tool"),
    path("tools/<slug:name>/forms/", tools.forms, name="tool_forms"),
    path("tools/<slug:name>/trip/", tools.trip, name="trip_tool"),
    path("tools/<slug:name>/reset/", tools.reset, name="reset_tool"),
    path("packs/", packs.packs, name="packs"),
    path("packs/<slug:name>/", packs.pack, name="pack"),
    path("sign-in/", sessions.SignIn.as_view(), name="sign_in"),
    path("sign-in/<str:token>/", sign_in_with_link, name="sign_in_with_link"),
    path("sign-out/", sessions.SignOut.as_view(), name="sign_out"),
    path("healthz", healthz, name="healthz"),
    path("admin/", admin_site.urls),
]

handler400 = "converge_site.views.errors.bad_request"
handler403 = "converge_site.views.errors.forbidden"
handler404 = "converge_site.views.errors.not_found"
handler500 = "converge_site.views.errors.server_error"
