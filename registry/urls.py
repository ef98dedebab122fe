"""Every page and API route with the permission that it needs to read and to write.

This is the table of contents of the software and its access matrix: `page()` and `api()` refuse
to make a route without saying who may use it, and `tests/access_matrix.csv` shows what follows for
each role.
"""

from django.urls import include, path

from registry.views import home
from sites.access import page, public
from sites.roles import Permission as P

urlpatterns = [
    # Arriving
    page("", home.home, read=P.SIGNED_IN, name="home"),
    public("language/", home.language, name="set_language", why="chosen before signing in"),
    public("alive/", home.alive, name="alive", why="load balancers; says nothing"),
    path("account/", include("allauth.account.urls")),
    # Participants
    # Visits
    # Forms
    # Queries
    # Adverse events
    # Signing and locking
    # Datasets
    # People, sites, protocol, access
    # API
]
