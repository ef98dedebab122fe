"""Forms about people: invitation, roles, tokens; and about sites: the IRB approval."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from registry.forms import Day, PlainText, Reason
from registry.models import ProtocolVersion
from sites.models import Site
from sites.roles import Role


class InviteForm(forms.Form):
    username = forms.SlugField(
        label=_("User name"), max_length=30, help_text=_("Never given to somebody else again.")
    )
    name = PlainText(
        label=_("Name"), max_length=100, help_text=_("As it is printed under signatures.")
    )
    email = forms.EmailField(label=_("E-mail"))
    language = forms.ChoiceField(
        label=_("Language"), choices=[("ko", "한국어"), ("en", "English")], widget=forms.RadioSelect
    )


class RoleForm(forms.Form):
    role = forms.ChoiceField(label=_("Role"), choices=Role.choices, widget=forms.RadioSelect)
    site = forms.ChoiceField(label=_("Site"), required=False)
    since = Day(label=_("From"))
    until = Day(label=_("Until"), required=False, help_text=_("Empty: until it is ended."))

    def __init__(self, *args: Any, sites: list[Site], whole_study: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(str(site.pk), str(site)) for site in sites]
        if whole_study:
            choices.insert(0, ("", str(_("All sites of the study"))))
        site = self.fields["site"]
        assert isinstance(site, forms.ChoiceField)
        site.choices, site.required = choices, not whole_study


class EndRoleForm(forms.Form):
    until = Day(label=_("Last day"))
    reason = Reason(label=_("Reason"), required=False)


class TokenForm(forms.Form):
    site = forms.ChoiceField(label=_("Site"))
    purpose = PlainText(label=_("Purpose"))
    expires_on = Day(label=_("Valid until"))

    def __init__(self, *args: Any, sites: list[Site], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        site = self.fields["site"]
        assert isinstance(site, forms.ChoiceField)
        site.choices = [(str(each.pk), str(each)) for each in sites]


class ApprovalForm(forms.Form):
    version = forms.ModelChoiceField(
        label=_("Protocol version"), queryset=ProtocolVersion.objects.none()
    )
    approved_on = Day(label=_("Approved on"))
    reference = PlainText(label=_("IRB number"), max_length=60)

    def __init__(self, *args: Any, versions: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        version = self.fields["version"]
        assert isinstance(version, forms.ModelChoiceField)
        version.queryset = versions
        version.initial = versions.last()

    @staticmethod
    def open_versions(site: Site) -> Any:
        """Versions of the site's study without a recorded approval there."""
        return ProtocolVersion.objects.filter(study_id=site.study_id).exclude(approvals__site=site)
