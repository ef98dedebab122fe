"""The form of a saved view."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from registry.forms import PlainText


class ViewForm(forms.Form):
    name = PlainText(label=_("Name"), max_length=40)
    shared = forms.BooleanField(label=_("For all of the study"), required=False)
