"""A second version of the first study, as an amendment would bring it."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

from crf.definitions import definition_of
from crf.forms.layout import layout_of
from crf.instrument import canonical, load
from registry.models import ProtocolVersion, SiteApproval
from registry.services import approve, publish, study
from sites.access import system
from sites.audit import Actor
from sites.models import Site
from tests.protocols import USPP

ROOT = USPP.parent.parent.parent
LABEL = "2.0"
# file, what stands there, what is written instead
NEW_QUESTION = """    items:
      - code: pain_at_night
        kind: integer
        min: 0
        max: 10
        label: {ko: 밤 통증, en: Pain at night}
"""
EDITS: tuple[tuple[str, str, str], ...] = (
    ("instruments/nrs.yaml", "    items:\n", NEW_QUESTION),
    (
        "instruments/baseline.yaml",
        "ok: height >= 130 && height <= 205",
        "ok: height >= 150 && height <= 205",
    ),
    # Another form at week 8, another window, and a visit at week 12.
    (
        "protocol.yaml",
        "    after: 14\n    forms: *follow_up\n",
        "    after: 21\n    forms:\n      - instrument: nrs\n"
        "      - {instrument: ndi, when: cohort == 'cervical'}\n"
        "      - {instrument: odi, when: cohort == 'lumbar'}\n"
        "      - instrument: eq5d5l\n      - instrument: satisfaction\n"
        "      - instrument: concurrent\n      - instrument: ae_check\n"
        "  - code: w12\n    label: {ko: 12주, en: Week 12}\n    day: 84\n    before: 5\n"
        "    after: 14\n    forms:\n      - instrument: nrs\n      - instrument: ae_check\n",
    ),
)


def folder(at: Path, edits: tuple[tuple[str, str, str], ...] = EDITS, label: str = LABEL) -> Path:
    """The study's folder with the amendment, with its own copy of the shared forms it changes."""
    copy = at / "uspp"
    shutil.copytree(USPP, copy)
    protocol = copy / "protocol.yaml"
    old = load(USPP).protocol.version
    text = protocol.read_text(encoding="utf-8")
    protocol.write_text(text.replace(f'version: "{old}"', f'version: "{label}"', 1))
    for file, was, written in edits:
        path = copy / file
        if not path.is_file():
            shutil.copy(ROOT / "crf" / file, path)
        text = path.read_text(encoding="utf-8")
        assert was in text, (file, was)
        path.write_text(text.replace(was, written, 1), encoding="utf-8")
    return copy


def published(at: Path, label: str = LABEL) -> ProtocolVersion:
    definition = load(folder(at, label=label))
    with system("publish", sites=[]) as by:
        version = publish(content=canonical(definition), sha256=definition.sha256, by=by).version
    forget()
    return version


def forget() -> None:
    """Databases of two tests may have different versions under one number."""
    for cached in (definition_of, study._protocol, study.versions_until, layout_of):
        cached.cache_clear()


def approved(site: Site, version: ProtocolVersion, by: Actor, days_ago: int = 0) -> SiteApproval:
    return approve(
        site=site,
        version=version,
        approved_on=site.today() - dt.timedelta(days=days_ago),
        reference=f"{site.code}-2",
        by=by,
    )
