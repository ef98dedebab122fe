"""Decides what a log line looks like: one line per event, in UTC, without clinical values.

A database error quotes the row that failed ("DETAIL: Failing row contains …"), which here is
somebody's answers; those parts are left out before anything is written. The error itself, its
constraint and where it happened stay.
"""

import logging
import re
import time

# PostgreSQL's DETAIL and CONTEXT run up to the next part, or to the end of the message.
_QUOTED_ROW = re.compile(
    r"^(DETAIL|CONTEXT|LINE \d+):.*(\n(?!Traceback|  File|[A-Z]+:|\S+(Error|Exception)).*)*",
    re.MULTILINE,
)


class Line(logging.Formatter):
    def __init__(self) -> None:
        self.converter = time.gmtime
        super().__init__(
            "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S"
        )

    def format(self, record: logging.LogRecord) -> str:
        whole = _QUOTED_ROW.sub(r"\1: (left out)", super().format(record))
        return " ⏎ ".join(line.rstrip() for line in whole.splitlines() if line.strip())
