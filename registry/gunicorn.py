"""How gunicorn serves the pages: the same in `make run` and in the image.

gunicorn --config python:registry.gunicorn registry.wsgi
"""

import os
from pathlib import Path

from registry import environment as env

bind = f"127.0.0.1:{env.number('PORT', 8000, low=1, high=65535)}"
workers = env.number("WEB_WORKERS", 2, low=1, high=64)
# A few threads each, so that one slow browser or one download does not hold up a process.
worker_class = "gthread"
threads = env.number("WEB_THREADS", 4, low=1, high=32)
timeout = 60
graceful_timeout = 20
keepalive = 15
# A worker that has grown is replaced before it matters; not all of them at once.
max_requests = 5000
max_requests_jitter = 500
# In a container /tmp may be a disk, where the workers' heartbeat would block.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
control_socket_disable = True
# registry.proxy alone decides which proxy is believed.
secure_scheme_headers: dict[str, str] = {}
# Who saw what stands in the access log of the database; this one is for the server's own words.
accesslog = None
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "registry.logs.Line"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": os.environ.get("LOG_LEVEL", "INFO")},
    "loggers": {"gunicorn.error": {"handlers": [], "level": "INFO", "propagate": True}},
}
