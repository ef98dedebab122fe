"""The database's own guards for releases and their downloads."""

from django.db import migrations

from sites.protection import Protect


class Migration(migrations.Migration):
    dependencies = [("exports", "0001_initial"), ("sites", "0002_protect")]

    operations = [
        Protect("release", site=None),
        Protect("download", site=None),
    ]
