"""The ASGI application: pages over HTTP, live pushes over WebSocket."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "converge_site.settings")

from django.core.asgi import get_asgi_application

http_application = get_asgi_application()  # sets Django up; what follows needs its apps

# manage.py runs the checks before its commands; a server that loads this module runs none.
from runtime.checks import require_sound_storage  # noqa: E402

require_sound_storage()

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.sessions import CookieMiddleware  # noqa: E402

from converge_site.routing import websocket_urlpatterns  # noqa: E402
from converge_site.security import require_own_origin  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": http_application,
        "websocket": require_own_origin(CookieMiddleware(URLRouter(websocket_urlpatterns))),
    }
)
