"""Decides whose word on a visitor's address is taken: that of the trusted proxies alone.

Everything behind this middleware (rate limits, access log, redirect to https) may use
REMOTE_ADDR and the scheme as they are. A header that did not come from an address in
TRUSTED_PROXIES is removed, so that forging one changes neither a lockout nor a log line.
"""

import ipaddress
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

GetResponse = Callable[[HttpRequest], HttpResponseBase]
_SAID_BY_PROXY = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST")


def _trusted(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in settings.TRUSTED_PROXIES)


def client_address(peer: str, forwarded_for: str) -> str:
    """The nearest address that is no proxy of ours; behind it a client may have invented more."""
    address = peer
    for hop in reversed([hop.strip() for hop in forwarded_for.split(",") if hop.strip()]):
        if not _trusted(address):
            break
        try:
            address = str(ipaddress.ip_address(hop))
        except ValueError:
            break
    return address


def trusted_proxy(get_response: GetResponse) -> GetResponse:
    def middleware(request: HttpRequest) -> HttpResponseBase:
        peer = request.META.get("REMOTE_ADDR", "")
        if _trusted(peer):
            forwarded_for = request.META.get("HTTP_X_FORWARDED_FOR", "")
            request.META["REMOTE_ADDR"] = client_address(peer, forwarded_for)
        else:
            for header in _SAID_BY_PROXY:
                request.META.pop(header, None)
        return get_response(request)

    return middleware
