"""Every page and API route with the permission that it needs to read and to write.

This is the table of contents of the software and its access matrix: `page()` and `api()` refuse
to make a route without saying who may use it, and `tests/access_matrix.csv` shows what follows for
each role.
"""

from allauth.account import urls as allauth
from django.conf import settings
from django.urls import include, path
from drf_spectacular import views as schema

from registry.api import datasets as api_datasets
from registry.api import entries as api_entries
from registry.api import events as api_events
from registry.api import instruments as api_instruments
from registry.api import participants as api_participants
from registry.api import visits as api_visits
from registry.views import (
    consent,
    entries,
    events,
    handovers,
    history,
    home,
    imports,
    leaving,
    locking,
    participants,
    patient,
    people,
    queries,
    queue,
    releases,
    screening,
    study,
    styleguide,
    today,
    visits,
)
from sites.access import api, page, public
from sites.roles import Permission as P

# What allauth may do here. Addresses are changed by an administrator, since the trail must say who
# did it; there is no sign-up.
SIGNING_IN = {
    "account_login",
    "account_logout",
    "account_inactive",
    "account_reauthenticate",
    "account_change_password",
    "account_set_password",
    "account_reset_password",
    "account_reset_password_done",
    "account_reset_password_from_key",
    "account_reset_password_from_key_done",
}

urlpatterns = [
    # Arriving
    page("", home.home, read=P.SIGNED_IN, name="home"),
    public("language/", home.language, name="set_language", why="chosen before signing in"),
    public("alive/", home.alive, name="alive", why="load balancers; says nothing"),
    path("account/", include([route for route in allauth.urlpatterns if route.name in SIGNING_IN])),
    # Participants themselves: a code or a link opens one hand-over, see `views.patient`
    public("p/", patient.code, name="patient_code", why="a participant types a code"),
    public(
        "p/link/<str:token>/",
        patient.link,
        name="patient_link",
        why="a participant's signed link; leads to the birth date",
    ),
    public("p/birth/", patient.birth, name="patient_birth", why="needs a participant's link"),
    public("p/start/", patient.start, name="patient_start", why="needs an open hand-over"),
    public(
        "p/question/<int:number>/",
        patient.question,
        name="patient_question",
        why="needs an open hand-over",
    ),
    public("p/review/", patient.review, name="patient_review", why="needs an open hand-over"),
    public("p/text/", patient.text_size, name="patient_text", why="needs an open hand-over"),
    public(
        "p/no-reminders/",
        patient.no_reminders,
        name="patient_no_reminders",
        why="needs an open hand-over",
    ),
    public("p/done/", patient.done, name="patient_done", why="a locked screen; says thanks"),
    # Participants
    page(
        "<slug:study>/",
        today.today,
        read=P.SEE_DATA,
        name="today",
    ),
    page(
        "<slug:study>/participants/",
        participants.participants,
        read=P.SEE_DATA,
        write=P.SEE_IDENTITY,
        name="participants",
    ),
    page(
        "<slug:study>/participants/new/",
        consent.participant_new,
        read=P.ENTER,
        write=P.ENTER,
        name="participant_new",
    ),
    page(
        "<slug:study>/participants/prescreen/",
        consent.prescreen,
        read=P.ENTER,
        write=P.ENTER,
        name="prescreen",
    ),
    page(
        "<slug:study>/screening/",
        screening.screening_log,
        read=P.SEE_DATA,
        name="screening_log",
    ),
    page(
        "<slug:study>/participants/<int:pk>/",
        participants.participant,
        read=P.SEE_DATA,
        name="participant",
    ),
    page(
        "<slug:study>/participants/<int:pk>/identity/",
        participants.identity_shown,
        read=P.SEE_IDENTITY,
        name="identity",
    ),
    page(
        "<slug:study>/participants/<int:pk>/consents/",
        consent.consents,
        read=P.SEE_DATA,
        write=P.ENTER,
        name="consents",
    ),
    page(
        "<slug:study>/participants/<int:pk>/screening/",
        screening.screening_decision,
        read=P.SEE_DATA,
        write=P.ENTER,
        name="screening_decision",
    ),
    page(
        "<slug:study>/participants/<int:pk>/enrol/",
        screening.enrol,
        read=P.ENTER,
        write=P.ENTER,
        name="enrol",
    ),
    page(
        "<slug:study>/participants/<int:pk>/end/",
        leaving.end_study,
        read=P.ENTER,
        write=P.ENTER,
        name="end_study",
    ),
    page(
        "<slug:study>/participants/<int:pk>/withdraw/",
        leaving.withdraw,
        read=P.ENTER,
        write=P.ENTER,
        name="withdraw",
    ),
    page(
        "<slug:study>/participants/<int:pk>/void/",
        leaving.void_participant,
        read=P.ENTER,
        write=P.ENTER,
        name="void_participant",
    ),
    page(
        "<slug:study>/participants/<int:pk>/drivers/",
        leaving.drivers,
        read=P.ENTER,
        write=P.ENTER,
        name="drivers",
    ),
    page(
        "<slug:study>/participants/<int:pk>/allocate/",
        leaving.allocate,
        read=P.ALLOCATE,
        write=P.ALLOCATE,
        name="allocate",
    ),
    page(
        "<slug:study>/participants/<int:pk>/handover/",
        handovers.handover_choose,
        read=P.ENTER,
        name="handover_choose",
    ),
    page(
        "<slug:study>/participants/<int:pk>/reminders/",
        handovers.reminders,
        read=P.SEE_IDENTITY,
        write=P.ENTER,
        name="reminders",
    ),
    # Visits
    page(
        "<slug:study>/participants/<int:pk>/visits/new/",
        visits.visit_new,
        read=P.ENTER,
        write=P.ENTER,
        name="visit_new",
    ),
    page(
        "<slug:study>/visits/<int:pk>/",
        visits.visit,
        read=P.SEE_DATA,
        write=P.ENTER,
        name="visit",
    ),
    page(
        "<slug:study>/visits/<int:pk>/missed/",
        visits.visit_missed,
        read=P.ENTER,
        write=P.ENTER,
        name="visit_missed",
    ),
    page(
        "<slug:study>/visits/<int:pk>/void/",
        visits.visit_void,
        read=P.ENTER,
        write=P.ENTER,
        name="visit_void",
    ),
    page(
        "<slug:study>/visits/<int:pk>/handover/",
        handovers.handover,
        read=P.ENTER,
        write=P.ENTER,
        name="handover",
    ),
    page(
        "<slug:study>/handovers/<int:pk>/revoke/",
        handovers.handover_revoke,
        read=P.ENTER,
        write=P.ENTER,
        name="handover_revoke",
    ),
    # Forms
    page(
        "<slug:study>/entries/<int:pk>/",
        entries.entry,
        read=P.SEE_DATA,
        write=P.ENTER,
        name="entry",
    ),
    page(
        "<slug:study>/entries/<int:pk>/save/",
        entries.entry_save,
        read=P.ENTER,
        write=P.ENTER,
        name="entry_save",
    ),
    page(
        "<slug:study>/entries/<int:pk>/complete/",
        entries.entry_complete,
        read=P.ENTER,
        write=P.ENTER,
        name="entry_complete",
    ),
    page(
        "<slug:study>/entries/<int:pk>/void/",
        entries.entry_void,
        read=P.ENTER,
        write=P.ENTER,
        name="entry_void",
    ),
    page(
        "<slug:study>/entries/<int:pk>/verify/",
        entries.entry_verify,
        read=P.VERIFY,
        write=P.VERIFY,
        name="entry_verify",
    ),
    page(
        "<slug:study>/participants/<int:pk>/forms/<slug:instrument>/new/",
        entries.entry_new,
        read=P.ENTER,
        write=P.ENTER,
        name="entry_new",
    ),
    page(
        "<slug:study>/entries/<int:pk>/history/",
        history.entry_history,
        read=P.SEE_TRAIL,
        name="entry_history",
    ),
    page(
        "<slug:study>/entries/<int:pk>/history/<slug:item>/",
        history.item_history,
        read=P.SEE_TRAIL,
        name="item_history",
    ),
    page(
        "<slug:study>/participants/<int:pk>/history/",
        history.participant_history,
        read=P.SEE_TRAIL,
        name="participant_history",
    ),
    page("<slug:study>/codes/<slug:name>/", entries.codes, read=P.SEE_DATA, name="codes"),
    # Queries
    page("<slug:study>/queries/", queries.queries, read=P.SEE_DATA, name="queries"),
    page("<slug:study>/queries/<int:pk>/", queries.query, read=P.SEE_DATA, name="query"),
    page(
        "<slug:study>/queries/<int:pk>/answer/",
        queries.query_answer,
        read=P.ENTER,
        write=P.ENTER,
        name="query_answer",
    ),
    page(
        "<slug:study>/queries/<int:pk>/close/",
        queries.query_close,
        read=P.QUERY,
        write=P.QUERY,
        name="query_close",
    ),
    page(
        "<slug:study>/queries/<int:pk>/reopen/",
        queries.query_reopen,
        read=P.QUERY,
        write=P.QUERY,
        name="query_reopen",
    ),
    page(
        "<slug:study>/entries/<int:pk>/ask/",
        queries.entry_ask,
        read=P.QUERY,
        write=P.QUERY,
        name="entry_ask",
    ),
    # Adverse events
    page("<slug:study>/events/", queue.events, read=P.SEE_DATA, name="events"),
    page(
        "<slug:study>/participants/<int:pk>/events/new/",
        events.event_new,
        read=P.ENTER,
        write=P.ENTER,
        name="event_new",
    ),
    page("<slug:study>/events/<int:pk>/", events.event, read=P.SEE_DATA, name="event"),
    page(
        "<slug:study>/events/<int:pk>/edit/",
        events.event_edit,
        read=P.ENTER,
        write=P.ENTER,
        name="event_edit",
    ),
    page(
        "<slug:study>/events/<int:pk>/void/",
        events.event_void,
        read=P.ENTER,
        write=P.ENTER,
        name="event_void",
    ),
    page(
        "<slug:study>/events/<int:pk>/review/",
        events.event_review,
        read=P.REVIEW_EVENTS,
        write=P.REVIEW_EVENTS,
        name="event_review",
    ),
    page(
        "<slug:study>/events/<int:pk>/ask/",
        events.event_ask,
        read=P.QUERY,
        write=P.QUERY,
        name="event_ask",
    ),
    page(
        "<slug:study>/events/<int:pk>/history/",
        events.event_history,
        read=P.SEE_TRAIL,
        name="event_history",
    ),
    page("<slug:study>/terms/", events.terms, read=P.SEE_DATA, name="terms"),
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
    page(
        "<slug:study>/datasets/",
        releases.releases,
        read=P.RELEASE,
        write=P.RELEASE,
        name="releases",
    ),
    page("<slug:study>/datasets/<int:number>/", releases.release, read=P.RELEASE, name="release"),
    page(
        "<slug:study>/datasets/<int:number>/download/",
        releases.take,
        read=P.RELEASE,
        write=P.RELEASE,
        name="release_download",
    ),
    page("<slug:study>/jobs/<uuid:pk>/", releases.job, read=P.RELEASE, name="job"),
    # Lists from elsewhere
    page(
        "<slug:study>/imports/",
        imports.imports,
        read=P.SEE_DATA,
        write=P.ENTER,
        name="imports",
    ),
    page(
        "<slug:study>/imports/<int:pk>/",
        imports.import_shown,
        read=P.SEE_DATA,
        write=P.ENTER,
        name="import",
    ),
    page(
        "<slug:study>/imports/<int:pk>/columns/",
        imports.import_mapping,
        read=P.ENTER,
        write=P.ENTER,
        name="import_mapping",
    ),
    page(
        "<slug:study>/imports/<int:pk>/map.yaml",
        imports.import_map,
        read=P.SEE_DATA,
        name="import_map",
    ),
    page(
        "<slug:study>/imports/<int:pk>/discard/",
        imports.import_discard,
        read=P.ENTER,
        write=P.ENTER,
        name="import_discard",
    ),
    page(
        "<slug:study>/imports/<int:pk>/go-on/",
        imports.import_go_on,
        read=P.ENTER,
        write=P.ENTER,
        name="import_go_on",
    ),
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
    page(
        "<slug:study>/protocol/<int:number>/flags/",
        study.protocol_flags,
        read=P.SEE_DATA,
        name="protocol_flags",
    ),
    page("<slug:study>/access/", study.access_log, read=P.SEE_ACCESS, name="access_log"),
    page("<slug:study>/tokens/", people.tokens, read=P.USE_API, write=P.USE_API, name="tokens"),
    page(
        "<slug:study>/tokens/<int:pk>/revoke/",
        people.revoke,
        read=P.USE_API,
        write=P.USE_API,
        name="token_revoke",
    ),
    # API: PATCH is a write like POST
    api(
        "api/schema/",
        schema.SpectacularAPIView.as_view(),
        read=P.SIGNED_IN,
        name="api_schema",
    ),
    api(
        "api/<slug:study>/participants/",
        api_participants.participants,
        read=P.SEE_DATA,
        name="api_participants",
    ),
    api(
        "api/<slug:study>/participants/<int:pk>/",
        api_participants.participant,
        read=P.SEE_DATA,
        name="api_participant",
    ),
    api(
        "api/<slug:study>/participants/<int:pk>/forms/<slug:instrument>/",
        api_entries.entry_new,
        read=P.ENTER,
        write=P.ENTER,
        name="api_entry_new",
    ),
    api(
        "api/<slug:study>/visits/",
        api_visits.visits,
        read=P.SEE_DATA,
        name="api_visits",
    ),
    api(
        "api/<slug:study>/visits/<int:pk>/",
        api_visits.visit,
        read=P.SEE_DATA,
        name="api_visit",
    ),
    api(
        "api/<slug:study>/entries/",
        api_entries.entries,
        read=P.SEE_DATA,
        name="api_entries",
    ),
    api(
        "api/<slug:study>/entries/<int:pk>/",
        api_entries.entry,
        read=P.SEE_DATA,
        write=P.ENTER,
        name="api_entry",
    ),
    api(
        "api/<slug:study>/entries/<int:pk>/complete/",
        api_entries.entry_complete,
        read=P.ENTER,
        write=P.ENTER,
        name="api_entry_complete",
    ),
    api(
        "api/<slug:study>/instruments/",
        api_instruments.instruments,
        read=P.SEE_DATA,
        name="api_instruments",
    ),
    api(
        "api/<slug:study>/instruments/<slug:code>/",
        api_instruments.instrument,
        read=P.SEE_DATA,
        name="api_instrument",
    ),
    api(
        "api/<slug:study>/events/",
        api_events.events,
        read=P.SEE_DATA,
        write=P.ENTER,
        name="api_events",
    ),
    api(
        "api/<slug:study>/events/<int:pk>/",
        api_events.event,
        read=P.SEE_DATA,
        write=P.ENTER,
        name="api_event",
    ),
    api(
        "api/<slug:study>/releases/",
        api_datasets.releases,
        read=P.RELEASE,
        write=P.RELEASE,
        name="api_releases",
    ),
    api(
        "api/<slug:study>/releases/<int:number>/download/",
        api_datasets.release_download,
        read=P.RELEASE,
        write=P.RELEASE,
        name="api_release_download",
    ),
    api(
        "api/<slug:study>/jobs/<uuid:pk>/",
        api_datasets.job,
        read=P.RELEASE,
        name="api_job",
    ),
]

if settings.DEBUG:
    urlpatterns.append(
        public("styleguide/", styleguide.styleguide, name="styleguide", why="holds no data")
    )
