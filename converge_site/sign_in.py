"""The one-time sign-in link: how the first admin gets in before there is a password.

A link is a signed statement "user n, as they stood at their last sign-in". Signing in changes that state, so the
first use ends every link made before it; and it ends by itself after an hour. Nothing is stored.
"""

from datetime import datetime

from django.contrib.auth import get_user_model, login
from django.contrib.auth.models import Group, User
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods

LINK_LASTS_SECONDS = 3600
ADMIN_GROUP = "admin"
_SALT = "converge.sign-in-link"


def prepare_local_admin(username: str = "admin") -> User:
    """Returns the admin of this installation, made without a password if there is none of that name."""
    users = get_user_model().objects
    user, created = users.get_or_create(
        username=username, defaults={"is_staff": True, "is_superuser": True, "is_active": True}
    )
    if created:
        user.set_unusable_password()
        user.save(update_fields=["password"])
    user.groups.add(Group.objects.get_or_create(name=ADMIN_GROUP)[0])
    return user


def admin_has_password() -> bool:
    """Whether some active admin can sign in with a password, so that no link is needed."""
    admins = get_user_model().objects.filter(is_active=True, is_superuser=True)
    return any(admin.has_usable_password() for admin in admins)


def make_token(user: User) -> str:
    """Returns the secret part of a link for `user`."""
    return signing.dumps({"user": user.pk, "state": _fingerprint(user)}, salt=_SALT)


@sensitive_variables("token")
def find_user(token: str) -> User | None:
    """Returns whom a token signs in, or None if it is forged, used or older than LINK_LASTS_SECONDS."""
    try:
        said = signing.loads(token, salt=_SALT, max_age=LINK_LASTS_SECONDS)
    except signing.BadSignature:
        return None
    user = get_user_model().objects.filter(pk=said["user"], is_active=True).first()
    if user is None or not constant_time_compare(said["state"], _fingerprint(user)):
        return None
    return user


def _fingerprint(user: User) -> str:
    last = user.last_login.isoformat() if user.last_login else "never"
    return salted_hmac(_SALT, f"{user.pk}:{user.password}:{last}").hexdigest()


def _use_up(user: User, last_login: datetime | None) -> bool:
    """Ends the link. Of two requests with it at the same moment, one gets True."""
    rows = get_user_model().objects.filter(pk=user.pk)
    rows = rows.filter(last_login__isnull=True) if last_login is None else rows.filter(last_login=last_login)
    return rows.update(last_login=timezone.now()) == 1


@never_cache
@require_http_methods(["GET", "POST"])
@sensitive_variables("token")
def sign_in_with_link(request: HttpRequest, token: str) -> HttpResponse:
    """GET asks for a confirmation, so that a preview of the link does not use it up; POST signs in."""
    user = find_user(token)
    if user is not None and request.method == "POST" and _use_up(user, user.last_login):
        user.refresh_from_db()
        login(request, user, backend="django.contrib.auth.backends.ModelBackend")
        return redirect("/")
    if request.method == "POST":
        user = None
    return render(request, "pages/sign_in_link.html", {"link_user": user}, status=200 if user else 410)
