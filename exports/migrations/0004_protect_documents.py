"""The database's own guards for documents."""

from django.db import migrations

from sites.protection import Protect


class Migration(migrations.Migration):
    dependencies = [("exports", "0003_documents"), ("sites", "0002_protect")]

    operations = [Protect("document", site=None)]
