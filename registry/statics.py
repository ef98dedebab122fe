"""The addresses of static files, worked out once: a page names about fifty of them."""

from __future__ import annotations

import functools
from typing import Any

from django.contrib.staticfiles.storage import StaticFilesStorage
from whitenoise.storage import CompressedManifestStaticFilesStorage


class Plain(StaticFilesStorage):
    """Where the files lie as they are written."""

    @functools.cache  # noqa: B019 - one storage for as long as the process runs
    def url(self, name: str | None) -> str:
        return super().url(name)


class Hashed(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """After `collectstatic`: names with a hash of the content, compressed."""

    @functools.cache  # noqa: B019 - one storage for as long as the process runs
    def url(self, name: str | None, force: bool = False) -> Any:
        return super().url(name, force)
