"""Forms about lists from elsewhere: which file, what its columns are, and the yes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from crf.display import MISSING_LABELS
from crf.imports.mapping import SUBJECT, VISIT, questions
from crf.instrument import MISSING, Definition
from registry.forms import PlainText, Reason
from sites.models import Site


class UploadForm(forms.Form):
    site = forms.ChoiceField(label=gettext_lazy("Site"))
    file = forms.FileField(
        label=gettext_lazy("File"),
        help_text=gettext_lazy("CSV or Excel workbook (.xlsx), at most 5 MB and 5,000 lines."),
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,.xlsx"}),
        allow_empty_file=True,  # the reader says it in its own words
        error_messages={"required": gettext_lazy("Please choose a file.")},
    )

    def __init__(self, *args: Any, sites: list[Site], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        site = self.fields["site"]
        assert isinstance(site, forms.ChoiceField)
        site.choices = [(str(each.pk), str(each)) for each in sites]
        if len(sites) == 1:
            site.widget, site.initial = forms.HiddenInput(), str(sites[0].pk)


class MappingForm(forms.Form):
    """A choice for each column, the visit where no column says it, and words for “no answer”."""

    visit = forms.ChoiceField(
        label=gettext_lazy("Visit of every line"),
        required=False,
        help_text=gettext_lazy("Only where the list has no column with the visit."),
    )

    def __init__(
        self,
        *args: Any,
        headers: list[str],
        definition: Definition,
        start: Mapping[str, Any],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        lang = get_language() or "ko"
        visit = self.fields["visit"]
        assert isinstance(visit, forms.ChoiceField)
        visit.choices = [("", "–")] + [
            (each.code, each.label.get(lang)) for each in definition.protocol.visits
        ]
        visit.initial = start.get("visit", "")
        self.headers = [(n, name) for n, name in enumerate(headers) if name]
        targets = _targets(definition, lang)
        self._kept = {
            name: dict(target.get("values", {}))
            for name, target in start.get("columns", {}).items()
        }
        for n, name in self.headers:
            self.fields[f"column_{n}"] = forms.ChoiceField(
                label=name,
                required=False,
                choices=targets,
                initial=start.get("columns", {}).get(name, {}).get("to", ""),
            )
        words: dict[str, list[str]] = {}
        for word, reason in start.get("missing", {}).items():
            words.setdefault(reason, []).append(word)
        for reason in MISSING:
            self.fields[f"missing_{reason}"] = PlainText(
                label=MISSING_LABELS[reason],
                required=False,
                initial=", ".join(words.get(reason, [])),
            )

    def columns(self) -> list[Any]:
        return [self[f"column_{n}"] for n, _name in self.headers]

    def words(self) -> list[Any]:
        return [self[f"missing_{reason}"] for reason in MISSING]

    def content(self) -> dict[str, Any]:
        """The mapping as data."""
        told = self.cleaned_data
        return {
            "visit": told["visit"],
            "columns": {
                name: {"to": to, "values": self._kept.get(name, {})}
                for n, name in self.headers
                if (to := told[f"column_{n}"])
            },
            "missing": {
                word.strip(): reason
                for reason in MISSING
                for word in told[f"missing_{reason}"].split(",")
                if word.strip()
            },
        }


def _targets(definition: Definition, lang: str) -> list[Any]:
    groups: dict[str, list[tuple[str, str]]] = {}
    for form, item in questions(definition):
        label = item.label.get(lang)
        short = label if len(label) <= 60 else f"{label[:59]}…"
        groups.setdefault(form.short.get(lang), []).append((f"{form.code}.{item.code}", short))
    return [
        ("", _("not read")),
        (SUBJECT, _("Subject number")),
        (VISIT, _("Visit")),
        *groups.items(),
    ]


class CommitForm(forms.Form):
    shown = forms.CharField(widget=forms.HiddenInput)
    reason = Reason(
        label=gettext_lazy("Where these answers come from"),
        help_text=gettext_lazy(
            "Such as: laboratory list of 20 November. It stands in the history of every answer."
        ),
        error_messages={"required": gettext_lazy("Please say where these answers come from.")},
    )
    confirmed = forms.BooleanField(
        label=gettext_lazy("Also change the completed and signed forms that are marked above."),
        required=False,
    )

    def __init__(self, *args: Any, touches: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not touches:
            del self.fields["confirmed"]
