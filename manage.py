#!/usr/bin/env python
"""Django's command line, with the addresses of the embedded servers where nothing else is set.

`make run` leaves its settings in the data folder, so that `manage.py publish uspp` in a second
terminal reaches the same database. An image holds no such folder and needs its environment.
"""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "registry.settings")
    if not {"DATABASE_URL", "DATABASE_URL_FILE"} & os.environ.keys():
        from registry import folder

        os.environ.update(folder.remembered(folder.default()))
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
