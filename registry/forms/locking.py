"""Forms that close or open data: signature, lock, unlock."""

from django import forms
from django.utils.translation import gettext_lazy as _

from crf.models import Signature
from registry.forms import Reason


class SignForm(forms.Form):
    digest = forms.CharField(widget=forms.HiddenInput)
    meaning = forms.ChoiceField(
        label=_("Meaning of the signature"),
        choices=Signature.Meaning.choices,
        widget=forms.RadioSelect,
    )
    number = forms.CharField(
        label=_("Last three digits of the subject number"),
        help_text=_("To be sure that this is the participant you mean."),
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )
    password = forms.CharField(
        label=_("Your password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )


class LockForm(forms.Form):
    site_code = forms.CharField(
        label=_("Site code"),
        help_text=_("Type the code of the site to confirm."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    reason = Reason(label=_("Reason"), required=False)


class UnlockForm(forms.Form):
    reason = Reason(label=_("Reason for unlocking"))
