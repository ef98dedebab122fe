"""The database's own guards for entries and the acts upon them, and the digest of an entry."""

from django.db import migrations

from sites.protection import Immutable, Protect

DIGEST = """
CREATE FUNCTION edc_digest_entry() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  NEW.digest := encode(sha256(convert_to(concat_ws('|', NEW.version_id, NEW.answers::text,
    NEW.meta::text, NEW.voided_at IS NOT NULL), 'UTF8')), 'hex');
  RETURN NEW;
END $body$;
REVOKE ALL ON FUNCTION edc_digest_entry() FROM PUBLIC;
CREATE TRIGGER edc_digest BEFORE INSERT OR UPDATE ON crf_entry
  FOR EACH ROW EXECUTE FUNCTION edc_digest_entry();
"""


class Migration(migrations.Migration):
    dependencies = [("crf", "0002_query_about_event"), ("registry", "0002_protect")]

    operations = [
        migrations.RunSQL(DIGEST, "DROP FUNCTION edc_digest_entry() CASCADE"),
        Protect("entry", guard=True),
        Protect("query", guard=True),
        Protect("querymessage", guard=True),
        Protect("verification"),
        Protect("signature"),
        Protect("lock"),
        Immutable("operation", site="site_id"),
    ]
