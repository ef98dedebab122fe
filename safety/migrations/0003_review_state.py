"""Where an event stands with its reviews: kept by triggers, so that the queue need not ask each.

It is derived from the newest review and the event's digest. It is in no history, the digest leaves
it out, and a review at a locked site still sets it: nothing of the event itself is changed.
"""

from django.db import migrations, models

from sites.protection import ALL_SITES, NO_SITES, Protect

DIGEST = """
CREATE OR REPLACE FUNCTION edc_digest_event() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $body$
BEGIN
  NEW.digest := encode(sha256(convert_to(
    (to_jsonb(NEW) - 'id' - 'digest' - 'review_state')::text, 'UTF8')), 'hex');
  RETURN NEW;
END $body$;
"""
# By its name it comes after the trigger that sets the digest.
REVIEW_STATE = """
CREATE FUNCTION edc_review_state() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE seen text;
BEGIN
  IF TG_OP = 'UPDATE' THEN
    SELECT digest INTO seen FROM public.safety_aereview
    WHERE adverse_event_id = NEW.id ORDER BY reviewed_at DESC, id DESC LIMIT 1;
  END IF;
  NEW.review_state := CASE
    WHEN seen IS NULL THEN 'new' WHEN seen = NEW.digest THEN 'reviewed' ELSE 'changed' END;
  RETURN NEW;
END $body$;
REVOKE ALL ON FUNCTION edc_review_state() FROM PUBLIC;
CREATE TRIGGER edc_review_state BEFORE INSERT OR UPDATE ON safety_adverseevent
  FOR EACH ROW EXECUTE FUNCTION edc_review_state();

CREATE FUNCTION edc_event_reviewed() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  UPDATE public.safety_adverseevent SET review_state = 'new' WHERE id = NEW.adverse_event_id;
  RETURN NULL;
END $body$;
REVOKE ALL ON FUNCTION edc_event_reviewed() FROM PUBLIC;
CREATE TRIGGER edc_event_reviewed AFTER INSERT OR UPDATE ON safety_aereview
  FOR EACH ROW EXECUTE FUNCTION edc_event_reviewed();
"""
WITHOUT = """
DROP FUNCTION edc_event_reviewed() CASCADE;
DROP FUNCTION edc_review_state() CASCADE;
"""
# What was signed and reviewed is bound to the digests as they are.
BACKFILL = """
ALTER TABLE safety_adverseevent DISABLE TRIGGER edc_digest;
UPDATE safety_adverseevent SET review_state = 'new';
ALTER TABLE safety_adverseevent ENABLE TRIGGER edc_digest;
"""


class Migration(migrations.Migration):
    dependencies = [("safety", "0002_protect"), ("crf", "0007_due_from")]

    operations = [
        migrations.AddField(
            model_name="adverseevent",
            name="review_state",
            field=models.CharField(
                choices=[
                    ("new", "New"),
                    ("changed", "Changed since review"),
                    ("reviewed", "Reviewed"),
                ],
                default="new",
                editable=False,
                max_length=10,
            ),
        ),
        Protect("adverseevent", guard=True),
        migrations.RunSQL(DIGEST, migrations.RunSQL.noop),
        migrations.RunSQL(REVIEW_STATE, WITHOUT),
        migrations.RunSQL([ALL_SITES, BACKFILL, NO_SITES], migrations.RunSQL.noop),
        migrations.AddIndex(
            model_name="adverseevent",
            index=models.Index(
                condition=models.Q(
                    ("ended", ""), ("outcome__in", ["0", "2", "3"]), ("voided_at", None)
                ),
                fields=["site", "-serious", "onset", "id"],
                include=("participant",),
                name="event_ongoing",
            ),
        ),
        migrations.AddIndex(
            model_name="adverseevent",
            index=models.Index(
                condition=models.Q(("voided_at", None)),
                fields=["site", "-serious", "-grade", "reported_at", "id"],
                include=("participant", "aware_on", "seriousness"),
                name="event_in_order",
            ),
        ),
        migrations.AddIndex(
            model_name="adverseevent",
            index=models.Index(
                condition=models.Q(("review_state__in", ["new", "changed"]), ("voided_at", None)),
                fields=["site", "-serious", "-grade", "reported_at", "id"],
                include=("participant", "aware_on", "seriousness"),
                name="event_open_work",
            ),
        ),
    ]
