"""A program that calls the API with the token of somebody of the cast."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from django.test import Client
from django.urls import reverse

from sites.audit import Actor, acting
from sites.models import ApiToken, Site, User


class Program:
    """What an integrator's script is: a token, JSON, and no cookie."""

    def __init__(self, user: User, site: Site, **fields: Any) -> None:
        key = ApiToken.new_key()
        fields = {"expires_on": site.today() + dt.timedelta(days=1)} | fields
        with acting(Actor.job("demo")):
            self.token = ApiToken.objects.create(
                user=user, site=site, purpose="test", digest=ApiToken.digest_of(key), **fields
            )
        self.study = site.study.code
        self.headers = {"Authorization": f"Bearer {key}", "Accept-Language": "en"}
        # As other programs do; Django's own client would leave the CSRF check out.
        self.client = Client(enforce_csrf_checks=True)

    def address(self, name: str, *args: Any, study: str = "") -> str:
        return reverse(f"api_{name}", args=[study or self.study, *args])

    def get(self, name: str, *args: Any, query: dict[str, Any] | None = None, **told: Any) -> Any:
        return self.client.get(self.address(name, *args, **told), query or {}, headers=self.headers)

    def post(self, name: str, *args: Any, body: Any = None, **told: Any) -> Any:
        return self.send("POST", self.address(name, *args, **told), body)

    def patch(self, name: str, *args: Any, body: Any = None, **told: Any) -> Any:
        return self.send("PATCH", self.address(name, *args, **told), body)

    def send(self, method: str, address: str, body: Any) -> Any:
        text = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        return self.client.generic(method, address, text, "application/json", headers=self.headers)
