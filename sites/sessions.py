"""Who asks, read at every request: the session and its person, in two statements written out.

Django would word both anew each time, which takes longer than PostgreSQL to answer them.
"""

from __future__ import annotations

from typing import Any

from allauth.account.auth_backends import AuthenticationBackend
from django.contrib.sessions.backends import db
from django.db import connection

from sites.models import User

_SESSION = """
SELECT session_data, expire_date FROM django_session WHERE session_key = %s AND expire_date > now()
"""
_COLUMNS = [field.attname for field in User._meta.concrete_fields]
_PERSON = f"SELECT {', '.join(_COLUMNS)} FROM sites_user WHERE id = %s"  # noqa: S608


class SessionStore(db.SessionStore):
    """Sessions in PostgreSQL, as Django keeps them."""

    def _get_session_from_db(self) -> Any:
        key: Any = self.session_key
        with connection.cursor() as cursor:
            cursor.execute(_SESSION, [key])
            found = cursor.fetchone()
        if found is None:
            self._session_key = None
            return None
        data, expires = found
        return self.model(session_key=key, session_data=data, expire_date=expires)


class Backend(AuthenticationBackend):  # type: ignore[misc]
    """allauth's, with its people read as above; nobody who is not active is signed in."""

    def get_user(self, user_id: Any) -> User | None:
        with connection.cursor() as cursor:
            cursor.execute(_PERSON, [user_id])
            found = cursor.fetchone()
        person = User.from_db(connection.alias, _COLUMNS, found) if found else None
        return person if person and person.is_active else None
