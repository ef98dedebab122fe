"""The project package and the study's spine.

The Celery application is loaded with the package, so that a task which is queued from a page
goes to our broker and not to Celery's default one.
"""

from registry.celery import app as celery_app

__all__ = ["celery_app"]
