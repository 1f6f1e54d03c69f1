"""The sockets. They only push: every change by a person is an ordinary form POST (D8.5)."""

from __future__ import annotations

from django.urls import path

from converge_site.live.consumers import JobConsumer, PageConsumer

websocket_urlpatterns = [
    path("ws/jobs/", PageConsumer.as_asgi()),
    path("ws/jobs/<int:job_id>/", JobConsumer.as_asgi()),
]
