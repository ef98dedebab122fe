"""Forms that ask for data, and that take them out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from registry.forms import Reason
from sites.models import Site


class ReleaseForm(forms.Form):
    """Which sites a dataset holds, and what it is for."""

    sites = forms.MultipleChoiceField(
        label=_("Sites"),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": _("Please choose at least one site.")},
    )
    reason = Reason(
        label=_("What the dataset is for"),
        help_text=_(
            "Such as: final analysis, report to the IRB, check of the data. Kept for good."
        ),
        error_messages={"required": _("Please say what the dataset is for.")},
    )

    def __init__(self, *args: Any, sites: Mapping[int, Site], locked: set[int], **options: Any):
        super().__init__(*args, **options)
        self.fields["sites"].choices = [  # type: ignore[attr-defined]
            (pk, _("%(site)s (locked)") % {"site": site} if pk in locked else str(site))
            for pk, site in sites.items()
        ]
        self.initial.setdefault("sites", list(sites))


class DownloadForm(forms.Form):
    """Why somebody takes a file out; the law asks for the reason (K03)."""

    reason = Reason(
        label=_("What you take the file for"),
        help_text=_("Your name, the time and this reason are recorded with the dataset."),
        error_messages={"required": _("Please say what you take the file for.")},
    )


class BlankForm(forms.Form):
    """In which language a document is printed."""

    language = forms.ChoiceField(
        label=_("Language of the document"),
        choices=settings.LANGUAGES,
        widget=forms.RadioSelect,
        error_messages={"required": _("Please choose a language.")},
    )

    def __init__(self, *args: Any, language: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.initial.setdefault("language", language)


class CasebookForm(BlankForm):
    """A copy of somebody's data has a reason, which is printed on each of its pages (K03, K07)."""

    reason = Reason(
        label=_("What you take the file for"),
        help_text=_("Printed on every page, with your name and the time, and kept for good."),
        error_messages={"required": _("Please say what you take the file for.")},
    )
