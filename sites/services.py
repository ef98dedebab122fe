"""People: invited, given a role for a time, and never deleted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from django.utils import timezone
from django.utils.translation import gettext as _

from sites.access import Refused
from sites.audit import Actor, acting
from sites.models import ApiToken, Membership, Site, Study, User
from sites.roles import Role, forbidden_pairs


def invite(*, username: str, name: str, email: str, language: str = "ko", by: Actor) -> User:
    """A new account without a password; its owner sets one through the link that is mailed."""
    if User.objects.filter(username__iexact=username).exists():
        raise Refused(
            _("This user name exists, or existed once, and is never given again."), "username"
        )
    if User.objects.filter(email__iexact=email).exists():
        raise Refused(_("There is an account with this e-mail address."), "email")
    with acting(by, "invitation"):
        user = User(username=username, name=name, email=email, language=language)
        user.set_unusable_password()
        user.save()
    return user


def give_role(
    *,
    user: User,
    study: Study,
    site: Site | None,
    role: str,
    since: dt.date,
    until: dt.date | None = None,
    by: Actor,
) -> Membership:
    """Give a role at one site, or at all of them, and refuse what one person may not hold there."""
    if until is not None and until < since:
        raise Refused(_("The role would end before it begins."), "until")
    if user.pk == by.user_id:
        raise Refused(_("Nobody gives a role to themselves."), "user")
    # One decision about a person at a time, so that two together can't make a forbidden pair.
    with acting(by):
        User.objects.select_for_update().get(pk=user.pk)
        beside = _overlapping(user, study, site, since, until)
        for one, other in forbidden_pairs([role, *beside]):
            raise Refused(
                _("One person may not be %(one)s and %(other)s at the same site.")
                % {"one": one.label, "other": other.label},
                "role",
            )
        return Membership.objects.create(
            user=user, study=study, site=site, role=Role(role), since=since, until=until
        )


def _overlapping(
    user: User, study: Study, site: Site | None, since: dt.date, until: dt.date | None
) -> Iterable[str]:
    """Roles that the person holds at a site and on a day that the new role would cover too."""
    held = Membership.objects.filter(user=user, study=study).exclude(until__lt=since)
    if until is not None:
        held = held.exclude(since__gt=until)
    if site is not None:
        held = held.filter(site__in=[site]) | held.filter(site=None)
    return held.values_list("role", flat=True)


def end_role(*, membership: Membership, until: dt.date, reason: str = "", by: Actor) -> Membership:
    """End a role with a day; a day before today is the last day on which it was held."""
    if until < membership.since:
        raise Refused(_("The role would end before it begins."), "until")
    with acting(by, reason):
        membership.until = until
        membership.save()
    return membership


def make_token(
    *, user: User, site: Site, purpose: str, expires_on: dt.date, by: Actor
) -> tuple[ApiToken, str]:
    """A key for the API at one site; the second value is shown once and never stored."""
    if not purpose.strip():
        raise Refused(_("Please say what the token is for."), "purpose")
    if not site.today() < expires_on <= site.today() + dt.timedelta(days=366):
        raise Refused(_("A token is valid for at least a day and at most a year."), "expires_on")
    key = ApiToken.new_key()
    with acting(by, purpose):
        token = ApiToken.objects.create(
            user=user,
            site=site,
            purpose=purpose.strip(),
            digest=ApiToken.digest_of(key),
            expires_on=expires_on,
        )
    return token, key


def revoke_token(*, token: ApiToken, by: Actor) -> ApiToken:
    """The token's next use fails."""

    with acting(by):
        token.revoked_at = token.revoked_at or timezone.now()
        token.save()
    return token
