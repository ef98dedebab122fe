"""A participant's e-mail address and the agreement to reminders."""

from django.db import migrations, models

from sites.protection import Protect


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0002_protect"),
        ("sites", "0002_protect"),
    ]

    operations = [
        migrations.AddField(
            model_name="historicalidentity",
            name="email",
            field=models.TextField(blank=True, default=""),
        ),
        migrations.AddField(
            model_name="historicalidentity",
            name="mail_language",
            field=models.CharField(
                choices=[("ko", "한국어"), ("en", "English")],
                default="ko",
                max_length=2,
                verbose_name="language of the mails",
            ),
        ),
        migrations.AddField(
            model_name="historicalidentity",
            name="reminders_since",
            field=models.DateField(blank=True, null=True, verbose_name="agreed to reminders on"),
        ),
        migrations.AddField(
            model_name="historicalidentity",
            name="reminders_until",
            field=models.DateField(
                blank=True, null=True, verbose_name="withdrew from reminders on"
            ),
        ),
        migrations.AddField(
            model_name="identity",
            name="email",
            field=models.TextField(blank=True, default=""),
        ),
        migrations.AddField(
            model_name="identity",
            name="mail_language",
            field=models.CharField(
                choices=[("ko", "한국어"), ("en", "English")],
                default="ko",
                max_length=2,
                verbose_name="language of the mails",
            ),
        ),
        migrations.AddField(
            model_name="identity",
            name="reminders_since",
            field=models.DateField(blank=True, null=True, verbose_name="agreed to reminders on"),
        ),
        migrations.AddField(
            model_name="identity",
            name="reminders_until",
            field=models.DateField(
                blank=True, null=True, verbose_name="withdrew from reminders on"
            ),
        ),
        migrations.AddConstraint(
            model_name="identity",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("reminders_since", None), ("reminders_until", None)),
                    models.Q(
                        ("reminders_since__isnull", False), models.Q(("email", ""), _negated=True)
                    ),
                    _connector="OR",
                ),
                name="reminders_have_an_address",
            ),
        ),
        Protect("identity", guard=True),
    ]
