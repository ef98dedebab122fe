"""The database's own guards for adverse events and their reviews, and the digest of an event."""

from django.db import migrations

from sites.protection import Protect

DIGEST = """
CREATE FUNCTION edc_digest_event() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $body$
BEGIN
  NEW.digest := encode(sha256(convert_to((to_jsonb(NEW) - 'id' - 'digest')::text, 'UTF8')), 'hex');
  RETURN NEW;
END $body$;
REVOKE ALL ON FUNCTION edc_digest_event() FROM PUBLIC;
CREATE TRIGGER edc_digest BEFORE INSERT OR UPDATE ON safety_adverseevent
  FOR EACH ROW EXECUTE FUNCTION edc_digest_event();
"""


class Migration(migrations.Migration):
    dependencies = [("safety", "0001_initial"), ("crf", "0003_protect")]

    operations = [
        migrations.RunSQL(DIGEST, "DROP FUNCTION edc_digest_event() CASCADE"),
        Protect("adverseevent", guard=True),
        Protect("aereview"),
    ]
