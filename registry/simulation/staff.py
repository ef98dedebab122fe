"""Who does the work in a simulation: the people of each site, and invented ones where none is.

The trail shall look as a real one does, with a person in a role behind each line. A site that has
no coordinator, investigator or monitor yet gets one whose user name says role and site.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from django.contrib.auth.hashers import make_password

from registry.simulation import plausible
from sites.audit import Actor, acting
from sites.models import Membership, Site, Study, User
from sites.roles import Role
from sites.services import give_role

NEEDED = (Role.COORDINATOR, Role.INVESTIGATOR, Role.MONITOR)


@dataclass(frozen=True)
class Staff:
    """The people of one site: one of each role that a simulation needs."""

    people: dict[Role, User]
    site: Site
    request: str

    def by(self, role: Role) -> Actor:
        """This person at work, as a request of theirs would name them."""
        user = self.people[role]
        return Actor(
            label=f"user:{user.pk}",
            user_id=user.pk,
            roles={self.site.pk: role.value},
            request=self.request,
        )


def staff(
    study: Study, sites: Iterable[Site], *, password: str, request: str, by: Actor
) -> dict[int, Staff]:
    """Site → its people; invented ones can sign in only if there is a `password`."""
    hashed = make_password(password or None)
    found = {}
    for site in sites:
        people = {}
        for role in NEEDED:
            people[role] = _present(site, role) or _invented(study, site, role, hashed, by)
        found[site.pk] = Staff(people, site, request)
    return found


def _present(site: Site, role: Role) -> User | None:
    memberships = Membership.objects.on(site.today()).filter(
        study_id=site.study_id, role=role, user__is_active=True
    )
    held = memberships.filter(site=site) | memberships.filter(site=None)
    first = held.select_related("user").order_by("site_id", "user_id").first()
    return first.user if first else None


def _invented(study: Study, site: Site, role: Role, hashed: str, by: Actor) -> User:
    username = f"{role}_{site.code}".lower()
    user = User.objects.filter(username=username).first()
    if user is None:
        rng = random.Random(username)
        with acting(by, "simulated person"):
            user = User.objects.create(
                username=username,
                name=plausible.name(rng, rng.choice(("female", "male"))),
                email=f"{username}@example.org",
                password=hashed,
            )
    first_day = date(site.today().year, 1, 1)
    give_role(user=user, study=study, site=site, role=role, since=first_day, by=by)
    return user
