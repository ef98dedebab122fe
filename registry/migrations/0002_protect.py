"""The database's own guards for participants, consents and visits; published versions are final."""

from django.db import migrations

from sites.protection import Immutable, Protect


class Migration(migrations.Migration):
    dependencies = [("registry", "0001_initial"), ("sites", "0002_protect")]

    operations = [
        Immutable("protocolversion"),
        Protect("siteapproval"),
        Protect("prescreen"),
        Protect("participant", guard=True),
        Protect("identity", guard=True),
        Protect("consent", guard=True),
        Protect("withdrawal", guard=True),
        Protect("allocation", guard=True),
        Protect("visit", guard=True),
    ]
