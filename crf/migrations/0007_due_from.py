"""Since when a form waits to be filled in: kept by triggers, so that no road forgets it.

A list of open work then reads an index of the forms that wait and of nothing else. Forms of visits
that did not happen yet are not in it, and the day by which it is sorted needs no join.
"""

from django.db import migrations, models

from sites.protection import ALL_SITES, NO_SITES, Protect

# The visit's row is taken FOR SHARE by an insert alone: a visit that is held at the same moment
# is before it or after it. An update is put in order by its own row, which both write.
DUE_FROM = """
CREATE FUNCTION edc_due_from() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  IF NEW.completed_at IS NOT NULL OR NEW.voided_at IS NOT NULL OR NEW.cancelled_at IS NOT NULL THEN
    NEW.due_from := NULL;
  ELSIF NEW.visit_id IS NULL THEN
    IF TG_OP = 'UPDATE' THEN NEW.due_from := OLD.due_from; ELSE NEW.due_from := NULL; END IF;
    IF NEW.due_from IS NULL THEN
      SELECT (clock_timestamp() AT TIME ZONE timezone)::date INTO NEW.due_from
      FROM public.sites_site WHERE id = NEW.site_id;
    END IF;
  ELSE
    IF TG_OP = 'INSERT' THEN
      PERFORM 1 FROM public.registry_visit WHERE id = NEW.visit_id FOR SHARE;
    END IF;
    NEW.due_from := (
      SELECT happened_on FROM public.registry_visit WHERE id = NEW.visit_id AND voided_at IS NULL
    );
  END IF;
  RETURN NEW;
END $body$;
REVOKE ALL ON FUNCTION edc_due_from() FROM PUBLIC;
CREATE TRIGGER edc_due_from
  BEFORE INSERT OR UPDATE OF site_id, visit_id, completed_at, voided_at, cancelled_at, due_from
  ON crf_entry FOR EACH ROW EXECUTE FUNCTION edc_due_from();

CREATE FUNCTION edc_visit_held() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  UPDATE public.crf_entry SET due_from = NULL WHERE visit_id = NEW.id;
  RETURN NULL;
END $body$;
REVOKE ALL ON FUNCTION edc_visit_held() FROM PUBLIC;
CREATE TRIGGER edc_visit_held AFTER UPDATE OF happened_on, voided_at ON registry_visit
  FOR EACH ROW WHEN (ROW(OLD.happened_on, OLD.voided_at)
    IS DISTINCT FROM ROW(NEW.happened_on, NEW.voided_at))
  EXECUTE FUNCTION edc_visit_held();
"""
WITHOUT = """
DROP FUNCTION edc_visit_held() CASCADE;
DROP FUNCTION edc_due_from() CASCADE;
"""
# The trigger says of what waits since when; for the forms of participants the trail knows the day.
BACKFILL = """
ALTER TABLE crf_entry DISABLE TRIGGER edc_digest;
UPDATE crf_entry SET due_from = NULL
WHERE completed_at IS NULL AND voided_at IS NULL AND cancelled_at IS NULL;
ALTER TABLE crf_entry DISABLE TRIGGER edc_due_from;
UPDATE crf_entry AS entry SET due_from = added.on
FROM (
  SELECT past.id, (min(past.history_date) AT TIME ZONE site.timezone)::date AS on
  FROM crf_historicalentry AS past JOIN sites_site AS site ON site.id = past.site_id
  WHERE past.visit_id IS NULL GROUP BY past.id, site.timezone
) AS added
WHERE added.id = entry.id AND entry.visit_id IS NULL AND entry.due_from IS NOT NULL;
ALTER TABLE crf_entry ENABLE TRIGGER edc_due_from;
ALTER TABLE crf_entry ENABLE TRIGGER edc_digest;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("crf", "0006_remarks"),
        ("registry", "0004_open_work"),
        ("safety", "0002_protect"),
    ]

    operations = [
        migrations.RemoveIndex(model_name="query", name="query_open_work"),
        migrations.AddIndex(
            model_name="query",
            index=models.Index(
                condition=models.Q(("state", "closed"), _negated=True),
                fields=["site", "state", "opened_at", "id"],
                include=("participant",),
                name="query_open_work",
            ),
        ),
        migrations.AddField(
            model_name="entry",
            name="due_from",
            field=models.DateField(editable=False, null=True),
        ),
        Protect("entry", guard=True),
        migrations.RunSQL(DUE_FROM, WITHOUT),
        migrations.RunSQL([ALL_SITES, BACKFILL, NO_SITES], migrations.RunSQL.noop),
        migrations.AddIndex(
            model_name="entry",
            index=models.Index(
                condition=models.Q(("due_from__isnull", False)),
                fields=["site", "due_from", "id"],
                include=("participant",),
                name="entry_due_work",
            ),
        ),
    ]
