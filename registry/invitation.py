"""The mail with which somebody sets the first password: to the owner of the address alone (P14)."""

from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation

from sites.models import User


def mail_invitation(user: User) -> None:
    path = reverse(
        "account_reset_password_from_key",
        kwargs={
            "uidb36": user_pk_to_url_str(user),
            "key": default_token_generator.make_token(user),
        },
    )
    with translation.override(user.language):
        text = render_to_string(
            "people/invitation.txt", {"person": user, "url": f"{settings.SITE_URL}{path}"}
        )
        subject = translation.gettext("Your account of the registry")
    send_mail(subject, text, None, [user.email])
