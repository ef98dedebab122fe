"""Every page and API route with the permission that it needs to read and to write.

This is the table of contents of the software and its access matrix: `page()` and `api()` refuse
to make a route without saying who may use it, and `tests/access_matrix.csv` shows what follows for
each role.
"""

from django.conf import settings
from django.urls import include, path

from registry.views import home, locking, people, study, styleguide
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
    page(
        "<slug:study>/participants/<int:pk>/sign/",
        locking.sign_participant,
        read=P.SIGN,
        write=P.SIGN,
        name="sign",
    ),
    page("<slug:study>/lock/", locking.locks, read=P.LOCK, name="locks"),
    page(
        "<slug:study>/lock/<int:pk>/",
        locking.lock_site,
        read=P.LOCK,
        write=P.LOCK,
        name="lock_site",
    ),
    page(
        "<slug:study>/lock/<int:pk>/unlock/",
        locking.unlock_site,
        read=P.LOCK,
        write=P.LOCK,
        name="unlock_site",
    ),
    # Datasets
    # People, sites, protocol, access
    page("<slug:study>/people/", people.people, read=P.SEE_STUDY, name="people"),
    page(
        "<slug:study>/people/invite/",
        people.new_person,
        read=P.MANAGE_PEOPLE,
        write=P.MANAGE_PEOPLE,
        name="invite",
    ),
    page("<slug:study>/people/<int:pk>/", people.person, read=P.SEE_STUDY, name="person"),
    page(
        "<slug:study>/people/<int:pk>/roles/new/",
        people.new_role,
        read=P.MANAGE_PEOPLE,
        write=P.MANAGE_PEOPLE,
        name="role_new",
    ),
    page(
        "<slug:study>/roles/<int:pk>/end/",
        people.stop_role,
        read=P.MANAGE_PEOPLE,
        write=P.MANAGE_PEOPLE,
        name="role_end",
    ),
    page(
        "<slug:study>/roles/<int:pk>/history/",
        people.role_history,
        read=P.SEE_STUDY,
        name="role_history",
    ),
    page("<slug:study>/sites/", study.study_sites, read=P.SEE_STUDY, name="study_sites"),
    page(
        "<slug:study>/sites/<int:pk>/approve/",
        study.approve_version,
        read=P.MANAGE_SITES,
        write=P.MANAGE_SITES,
        name="approve",
    ),
    page("<slug:study>/protocol/<int:number>/", study.protocol, read=P.SEE_STUDY, name="protocol"),
    page("<slug:study>/access/", study.access_log, read=P.SEE_ACCESS, name="access_log"),
    page("<slug:study>/tokens/", people.tokens, read=P.SEE_DATA, write=P.SEE_DATA, name="tokens"),
    page(
        "<slug:study>/tokens/<int:pk>/revoke/",
        people.revoke,
        read=P.SEE_DATA,
        write=P.SEE_DATA,
        name="token_revoke",
    ),
    # API
]

if settings.DEBUG:
    urlpatterns.append(
        public("styleguide/", styleguide.styleguide, name="styleguide", why="holds no data")
    )
