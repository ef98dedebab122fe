"""The database's own guards for the tables of `sites`, and the partitioned access log."""

from django.db import migrations

from sites.protection import (
    ACCESS_LOG,
    FUNCTIONS,
    READ_ONLY,
    Immutable,
    Protect,
    final_table,
)


class Migration(migrations.Migration):
    dependencies = [("sites", "0001_initial")]

    operations = [
        migrations.RunSQL(FUNCTIONS, migrations.RunSQL.noop),
        migrations.RunSQL(READ_ONLY, migrations.RunSQL.noop),
        migrations.RunSQL(ACCESS_LOG, "DROP TABLE sites_accesslog"),
        migrations.RunSQL(final_table("sites_accesslog", site=True), migrations.RunSQL.noop),
        Protect("study", site=None),
        Protect("site", site=None),
        Protect("user", site=None),
        Protect("membership", site=None),
        Protect("apitoken", site=None),
        Immutable("securityevent"),
    ]
