"""What people write beside data (reasons, questions, answers): plain text, never a resident number.

It goes into the trail for good and can't be taken back, so it is refused before it is written.
"""

from __future__ import annotations

import re
import unicodedata

from django.utils.translation import gettext as _

from crf.values import Invalid, refuse_resident_number
from sites.access import Refused

LONGEST = 4000
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def words(text: str, field: str | None = None, *, ask: str = "") -> str:
    """`text` as it is kept. With `ask`, empty text is refused with that sentence."""
    kept = unicodedata.normalize("NFC", _CONTROL.sub("", text.replace("\r\n", "\n"))).strip()
    if ask and not kept:
        raise Refused(ask, field)
    if len(kept) > LONGEST:
        raise Refused(
            _("This text has %(length)d characters; at most %(most)d can be kept.")
            % {"length": len(kept), "most": LONGEST},
            field,
        )
    try:
        refuse_resident_number(kept)
    except Invalid as invalid:
        raise Refused(str(invalid), field) from None
    return kept
