"""What the tutorial would write: hello, a form, and its save with one row of history."""

import json

from django.contrib.auth.decorators import login_required
from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from benchmarks.floor.models import History, Thirty


class ThirtyForm(ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Thirty
        fields = [field.name for field in Thirty._meta.fields if not field.primary_key]


@login_required
def hello(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"hello {request.user.get_username()}")


@login_required
def thirty(request: HttpRequest, pk: int) -> HttpResponse:
    record = get_object_or_404(Thirty, pk=pk)
    form = ThirtyForm(request.POST or None, instance=record)
    if request.method == "POST" and form.is_valid():
        values = json.loads(json.dumps(form.cleaned_data, cls=DjangoJSONEncoder))
        with transaction.atomic():
            form.save()
            History.objects.create(record=record, by=request.user, values=values)
        return redirect("thirty", pk=pk)
    return render(request, "floor/thirty.html", {"form": form})
