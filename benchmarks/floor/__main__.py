"""Makes the floor's tables, one user and one record; prints the key of a session."""

import django

django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402

from benchmarks.floor.models import Thirty  # noqa: E402

# The floor's own tables have no migrations and refer to those of django.contrib.auth.
for own_tables in (False, True):
    call_command("migrate", database="owner", run_syncdb=own_tables, verbosity=0, skip_checks=True)
user, _made = User.objects.get_or_create(username="coordinator")
for _n in range(2 - Thirty.objects.count()):
    Thirty.objects.create()
client = Client()
client.force_login(user)
print(client.cookies["sessionid"].value)
