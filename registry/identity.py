"""Who a participant is: encrypted at rest, found by keyed digests, never a resident number.

Fields are Fernet tokens (AES-CBC with HMAC) under keys outside the database, so a backup or a
dump names nobody. A digest is HMAC-SHA-256 over the normalised value: equal values can be found,
values can't be read back.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import re
import unicodedata
from functools import lru_cache

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings

# Six digits of a birth date, an optional separator, the digit of century and sex, six more.
_RESIDENT_NUMBER = re.compile(r"(?<!\d)(\d{2})(\d{2})(\d{2})[-\s.·]?([1-8])\d{6}(?!\d)")
_CENTURY = {"1": 1900, "2": 1900, "5": 1900, "6": 1900, "3": 2000, "4": 2000, "7": 2000, "8": 2000}


@lru_cache(maxsize=1)
def _cipher() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.IDENTITY_KEYS])


def encrypt(text: str) -> str:
    return _cipher().encrypt(text.encode()).decode()


def decrypt(token: str) -> str:
    """The text of a token; empty for an empty field. Raises InvalidToken when no key fits."""
    return _cipher().decrypt(token.encode()).decode() if token else ""


def normal(text: str) -> str:
    """Full-width digits and letters made plain, runs of white space made one."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def _digest(purpose: str, *parts: str) -> str:
    message = "\x1f".join([purpose, *(normal(part).casefold() for part in parts)])
    key = settings.IDENTITY_HMAC_KEY.encode()
    return hmac.new(key, message.encode(), hashlib.sha256).hexdigest()


def chart_digest(site_id: int, chart_number: str) -> str:
    """Finds a chart number within its hospital; separators don't count."""
    return _digest("chart", str(site_id), re.sub(r"[\W_]", "", normal(chart_number)))


def person_digest(study_id: int, name: str, birth_date: dt.date, sex: str) -> str:
    """Finds one person at two sites of a study, where chart numbers differ."""
    return _digest("person", str(study_id), name.replace(" ", ""), birth_date.isoformat(), sex)


def has_resident_number(text: str) -> bool:
    """Whether text holds what reads as a Korean resident or alien registration number.

    The check digit is not asked: numbers issued since October 2020 have none. A real calendar day
    and a century digit are (K06: collecting these numbers needs a statute, so none is stored).
    """
    for year, month, day, century in _RESIDENT_NUMBER.findall(unicodedata.normalize("NFKC", text)):
        try:
            dt.date(_CENTURY[century] + int(year), int(month), int(day))
        except ValueError:
            continue
        return True
    return False


def age_on(birth_date: dt.date, day: dt.date) -> int:
    """Completed years; born on 29 February, one is completed on 1 March (Civil Act, art. 160)."""
    return day.year - birth_date.year - ((day.month, day.day) < (birth_date.month, birth_date.day))
