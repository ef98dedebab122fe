"""Lists of visits are counted in their index alone; who is void is known without a join."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("registry", "0003_reminders_agreed")]

    operations = [
        migrations.RemoveIndex(model_name="visit", name="visit_open_work"),
        migrations.AddIndex(
            model_name="participant",
            index=models.Index(
                condition=models.Q(("voided_at__isnull", False)),
                fields=["site", "id"],
                name="participant_void",
            ),
        ),
        migrations.AddIndex(
            model_name="participant",
            index=models.Index(
                condition=models.Q(
                    ("ended_on", None),
                    ("enrolled_at", None),
                    ("failed_criteria__isnull", True),
                    ("voided_at", None),
                ),
                fields=["site", "consented_on", "id"],
                name="participant_undecided",
            ),
        ),
        migrations.AddIndex(
            model_name="visit",
            index=models.Index(
                condition=models.Q(
                    ("cancelled_at", None),
                    ("happened_on", None),
                    ("missed_at", None),
                    ("voided_at", None),
                ),
                fields=["site", "closes_on", "id"],
                include=("opens_on", "participant"),
                name="visit_open_work",
            ),
        ),
    ]
