"""Who may: what each role allows and which two roles one person may not hold at one site."""

from itertools import combinations

import pytest

from sites.roles import PERMISSIONS, Permission, Role, forbidden_pairs, permissions

P = Permission
CLINICAL = {
    P.SEE_DATA,
    P.SEE_IDENTITY,
    P.SEE_TRAIL,
    P.ENTER,
    P.QUERY,
    P.VERIFY,
    P.REVIEW_EVENTS,
    P.SIGN,
    P.LOCK,
    P.RELEASE,
    P.ALLOCATE,
    P.SEE_ARM,
}
WRITING = {
    P.ENTER,
    P.QUERY,
    P.VERIFY,
    P.REVIEW_EVENTS,
    P.SIGN,
    P.LOCK,
    P.RELEASE,
    P.ALLOCATE,
    P.MANAGE_PEOPLE,
    P.MANAGE_SITES,
}

# Who may do what, in the words of the protocol: a change here is a change of the study's rules.
MAY = {
    P.SEE_DATA: {
        "coordinator",
        "investigator",
        "monitor",
        "data_manager",
        "safety_officer",
        "auditor",
    },
    P.SEE_TRAIL: {
        "coordinator",
        "investigator",
        "monitor",
        "data_manager",
        "safety_officer",
        "auditor",
    },
    P.SEE_STUDY: set(Role.values),
    P.SEE_IDENTITY: {"coordinator", "investigator"},
    P.ENTER: {"coordinator", "investigator"},
    P.SIGN: {"investigator"},
    P.QUERY: {"monitor", "data_manager", "safety_officer"},
    P.VERIFY: {"monitor"},
    P.REVIEW_EVENTS: {"monitor", "safety_officer"},
    P.LOCK: {"data_manager"},
    P.RELEASE: {"data_manager"},
    P.USE_API: {"coordinator", "investigator", "monitor", "data_manager", "safety_officer"},
    P.ALLOCATE: {"investigator"},
    P.SEE_ARM: {"investigator", "safety_officer", "auditor"},
    P.MANAGE_PEOPLE: {"administrator"},
    P.MANAGE_SITES: {"administrator"},
    P.SEE_ACCESS: {"administrator", "auditor"},
}

# Two roles that one person may not hold at one site.
APART = {
    frozenset(pair)
    for pair in [
        ("coordinator", "monitor"),
        ("coordinator", "data_manager"),
        ("coordinator", "safety_officer"),
        ("investigator", "monitor"),
        ("investigator", "data_manager"),
        ("investigator", "safety_officer"),
        *(("administrator", role) for role in Role.values if role != "administrator"),
    ]
}


def test_every_role_has_its_permissions():
    assert set(PERMISSIONS) == set(Role)
    assert all(PERMISSIONS.values())


@pytest.mark.requirement("P07")
@pytest.mark.parametrize("permission", [p for p in P if p is not P.SIGNED_IN])
def test_a_permission_belongs_to_these_roles(permission):
    assert {role.value for role in Role if permission in PERMISSIONS[role]} == MAY[permission]


def test_being_signed_in_is_no_role():
    assert not any(P.SIGNED_IN in allowed for allowed in PERMISSIONS.values())


@pytest.mark.requirement("E09")
def test_an_administrator_holds_no_clinical_permission():
    assert not PERMISSIONS[Role.ADMINISTRATOR] & CLINICAL


@pytest.mark.requirement("E12")
def test_an_auditor_reads_everything_and_writes_nothing():
    assert not PERMISSIONS[Role.AUDITOR] & WRITING
    assert {P.SEE_DATA, P.SEE_TRAIL, P.SEE_ACCESS, P.SEE_STUDY} <= PERMISSIONS[Role.AUDITOR]


@pytest.mark.requirement("G06")
@pytest.mark.parametrize("role", [Role.MONITOR, Role.DATA_MANAGER, Role.SAFETY_OFFICER])
def test_nobody_of_the_sponsor_enters_data_or_sees_who_a_participant_is(role):
    assert not PERMISSIONS[role] & {P.ENTER, P.SIGN, P.SEE_IDENTITY}


@pytest.mark.requirement("E09")
@pytest.mark.parametrize(("one", "other"), list(combinations(sorted(Role), 2)))
def test_two_roles_at_one_site(one, other):
    refused = frozenset((one.value, other.value)) in APART
    assert forbidden_pairs([one, other]) == ([(one, other)] if refused else [])
    assert forbidden_pairs([other, one]) == forbidden_pairs([one, other])


def test_several_roles_add_up_and_each_bad_pair_is_named():
    together = permissions(["monitor", "data_manager"])
    assert together == PERMISSIONS[Role.MONITOR] | PERMISSIONS[Role.DATA_MANAGER]
    assert permissions([]) == frozenset()
    assert len(forbidden_pairs(["administrator", "coordinator", "monitor"])) == 3
    assert forbidden_pairs(["coordinator", "coordinator"]) == []


def test_a_role_that_does_not_exist_is_an_error():
    with pytest.raises(ValueError, match="janitor"):
        permissions(["janitor"])
