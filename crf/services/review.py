"""Verification and signature: acts bound to the digest of what was seen, stale when it changes."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connection
from django.utils.translation import gettext as _

from crf.models import Entry, Signature, Verification
from crf.workflow import Act, refusal
from registry.models import Participant
from sites.access import Refused
from sites.audit import Actor, acting
from sites.models import User

# One statement sees one snapshot. Every record that a signature covers is a line, and the lines
# stand in one order: consents, visits, entries, adverse events (DESIGN 6).
_DIGESTS = """
WITH covered (participant_id, line) AS (
  SELECT participant_id, concat_ws('|', '1', kind, form_version, given, signed_on,
    voided_at IS NOT NULL, id) FROM registry_consent WHERE participant_id = ANY(%(ids)s)
  UNION ALL
  SELECT participant_id, concat_ws('|', '2', code, number, happened_on, missed_at IS NOT NULL,
    voided_at IS NOT NULL, id) FROM registry_visit WHERE participant_id = ANY(%(ids)s)
  UNION ALL
  SELECT participant_id, concat_ws('|', '3', instrument, number, digest,
    completed_at IS NOT NULL, id)
    FROM crf_entry WHERE participant_id = ANY(%(ids)s) AND started_at IS NOT NULL
  UNION ALL
  SELECT participant_id, concat_ws('|', '4', lpad(number::text, 5, '0'), digest)
    FROM safety_adverseevent WHERE participant_id = ANY(%(ids)s)
  UNION ALL
  SELECT id, concat_ws('|', '0', screening_number, coalesce(subject_number, '-'), sex, birth_year,
    age, consented_on, cohort, coalesce(ended_on::text, '-'), end_reason)
    FROM registry_participant WHERE id = ANY(%(ids)s)
)
SELECT participant_id,
  encode(sha256(convert_to(string_agg(line, E'\\n' ORDER BY line COLLATE "C"), 'UTF8')), 'hex')
FROM covered GROUP BY participant_id
"""
_SIGNED = "ARRAY(SELECT participant_id FROM newest)"  # empty, nothing of a digest is read
_STATES = f"""
WITH newest AS (
  SELECT DISTINCT ON (participant_id) participant_id, digest FROM crf_signature
  WHERE participant_id = ANY(%(ids)s) ORDER BY participant_id, signed_at DESC, id DESC
)
SELECT participant_id, newest.digest = now.digest
FROM newest JOIN ({_DIGESTS.replace("%(ids)s", _SIGNED)}) AS now (participant_id, digest)
USING (participant_id)
"""  # noqa: S608
# The digest is a subquery of its own: worked out once, and only where there is a signature.
_SIGNATURES = f"""
SELECT signature.*, digest = (SELECT now FROM ({_DIGESTS}) AS found (participant_id, now)) AS fits
FROM crf_signature AS signature WHERE participant_id = ANY(%(ids)s)
ORDER BY signed_at DESC, id DESC
"""  # noqa: S608


def signature_digests(participants: Iterable[int]) -> dict[int, str]:
    """Participant id → digest of everything that a signature of theirs covers now."""
    with connection.cursor() as cursor:
        cursor.execute(_DIGESTS, {"ids": list(participants)})
        return dict(cursor.fetchall())


def signature_digest(participant: Participant) -> str:
    return signature_digests([participant.pk])[participant.pk]


def signature_state(participants: Iterable[int]) -> dict[int, bool]:
    """Participant id → whether the newest signature still fits; unsigned ones are left out."""
    ids = list(participants)
    if not ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_STATES, {"ids": ids})
        return dict(cursor.fetchall())


def signatures_of(participant: Participant) -> list[Signature]:
    """A participant's signatures, the newest first, each with `fits`: nothing changed since."""
    return list(Signature.objects.raw(_SIGNATURES, {"ids": [participant.pk]}))


def sign(
    *,
    participant: Participant,
    meaning: str,
    shown_digest: str,
    password: str,
    signer: User,
    by: Actor,
) -> Signature:
    """Sign a participant's data as they were shown; the password is asked again at this moment."""
    if not signer.check_password(password):
        raise Refused(_("The password is not right."), "password")
    if meaning not in Signature.Meaning.values:
        raise Refused(_("Please choose what your signature means."), "meaning")
    if not participant.enrolled_at or participant.voided_at:
        raise Refused(_("Only the data of an enrolled participant are signed."))
    with acting(by, str(Signature.Meaning(meaning).label)):
        Participant.objects.select_for_update().get(pk=participant.pk)
        if signature_digest(participant) != shown_digest:
            raise Refused(
                _("The data changed while you were reading. Please read them again before signing.")
            )
        return Signature.objects.create(
            site_id=participant.site_id,
            participant=participant,
            meaning=meaning,
            digest=shown_digest,
            signed_by=signer,
            printed_name=signer.name,
        )


def verify(*, entry: Entry, by: Actor) -> Verification:
    """A monitor compared a complete form with its source; any change makes this stale."""
    sentence = refusal(Act.VERIFY, entry)
    if sentence:
        raise Refused(sentence)
    with acting(by):
        return Verification.objects.create(
            site_id=entry.site_id, entry=entry, digest=entry.digest, verified_by_id=by.person
        )
