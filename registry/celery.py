"""The Celery application: worker and beat read the same settings as the web processes.

A message carries the id of a `Job` and nothing else; what is to be done, for whom and how far
it is stands in the job's row. CELERY_BEAT_SCHEDULE in the settings says what runs by the clock.
"""

import logging
import logging.config
import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "registry.settings")

app = Celery("registry")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def log_like_django(**_: Any) -> None:
    from django.conf import settings

    logging.config.dictConfig(settings.LOGGING)


@worker_ready.connect
def look_for_type(**_: Any) -> None:
    """Say at once when documents can't be printed; other work goes on without Korean type."""
    from exports.documents.pdf import fonts
    from sites.access import Refused

    try:
        fonts()
    except Refused as missing:
        logging.getLogger(__name__).error("%s", missing)
