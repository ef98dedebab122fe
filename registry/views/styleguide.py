"""Every component on one page, for whoever writes the next page; only where DEBUG is on."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from crf.workflow import Status


def styleguide(request: HttpRequest) -> HttpResponse:
    context = {"levels": range(11), "statuses": Status.values, "changes": []}
    return render(request, "styleguide.html", context)
