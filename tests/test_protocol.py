"""Studies as data: the first registry is complete, and a second one shares nothing with it."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from crf.conditions import compile, decide, known
from crf.instrument import Definition, canonical, load
from registry.protocol import ConsentDefinition, SiteDefinition, Text
from registry.services.schedule import forms_due
from tests.protocols import NEEDLE, ROOT, USPP, broken_copy


@pytest.fixture(scope="module")
def uspp() -> Definition:
    return load(USPP)


@pytest.fixture(scope="module")
def needle() -> Definition:
    return load(NEEDLE)


def due(definition: Definition, visit: str, **facts: str) -> list[str]:
    return forms_due(definition.protocol, visit, known(facts))


# The first registry -----------------------------------------------------------------------------

FORMS = {
    "w0": ["baseline", "nrs", "INDEX", "eq5d5l", "concurrent", "ae_check"],
    "w1": ["nrs", "INDEX", "eq5d5l", "concurrent", "ae_check"],
    "w2": ["nrs", "INDEX", "eq5d5l", "concurrent", "ae_check"],
    "w4": ["nrs", "INDEX", "eq5d5l", "satisfaction", "concurrent", "ae_check"],
    "w8": ["nrs", "INDEX", "eq5d5l", "concurrent", "ae_check"],
}


@pytest.mark.parametrize(("cohort", "index"), [("cervical", "ndi"), ("lumbar", "odi")])
def test_the_forms_of_each_visit_are_those_of_the_record(
    uspp: Definition, cohort: str, index: str
) -> None:
    found = {visit.code: due(uspp, visit.code, cohort=cohort) for visit in uspp.protocol.visits}
    assert found == {
        visit: [index if form == "INDEX" else form for form in forms]
        for visit, forms in FORMS.items()
    }


def test_without_a_region_neither_index_is_due(uspp: Definition) -> None:
    assert not {"ndi", "odi"} & set(due(uspp, "w1", cohort=""))


def test_an_unscheduled_visit_asks_for_adverse_events(uspp: Definition) -> None:
    assert due(uspp, "unscheduled", cohort="lumbar") == ["nrs", "concurrent", "ae_check"]


def test_the_windows_of_the_visits(uspp: Definition) -> None:
    windows = {visit.code: (visit.opens, visit.day, visit.closes) for visit in uspp.protocol.visits}
    assert windows == {
        "w0": (0, 0, 0),
        "w1": (4, 7, 10),
        "w2": (11, 14, 17),
        "w4": (21, 28, 35),
        "w8": (42, 56, 70),
    }


def test_six_sites_six_hundred_participants_and_their_numbers(uspp: Definition) -> None:
    protocol = uspp.protocol
    assert protocol.cap == 600
    assert [site.code for site in protocol.sites] == ["JSS", "DJJ", "BCJ", "KHU", "KHG", "PNU"]
    assert protocol.numbering.screening.format(site="JSS", n=7) == "JSS-S007"
    assert protocol.numbering.subject.format(site="JSS", n=1000) == "JSS-1000"
    assert protocol.arms == ()


def test_sharing_needs_a_consent_of_its_own(uspp: Definition) -> None:
    sharing = uspp.protocol.sharing
    assert sharing is not None
    assert uspp.protocol.consent("study").required
    assert not uspp.protocol.consent(sharing.consent).required
    assert (sharing.months_after_publication, sharing.years) == (6, 3)


def test_the_primary_endpoint_is_the_change_of_nrs_from_week_0_to_4(uspp: Definition) -> None:
    (primary,) = [endpoint for endpoint in uspp.protocol.endpoints if endpoint.primary]
    assert (primary.score, primary.from_visit, primary.to_visit) == ("nrs", "w0", "w4")


ELIGIBLE: dict[str, Any] = {
    "age": 45,
    "sex": "female",
    "consent_date": "2026-03-02",
    "diagnosis": "M54.2",
    "region": "cervical",
    "screening_nrs": 5,
    "procedure_planned": "yes",
    "consent_difficulty": "no",
    "pregnancy": "no",
    "severe_disease": "no",
    "unsuitable": "no",
}


def judged(definition: Definition, answers: dict[str, Any]) -> dict[str, bool | None]:
    context = known(answers) | {
        item.code: answers.get(item.code) for item in definition.instruments["screening"].items
    }
    return {
        criterion.code: criterion.allows(decide(compile(criterion.met), context))
        for criterion in definition.protocol.eligibility
    }


@pytest.mark.parametrize(
    ("changed", "failed"),
    [
        ({}, []),
        ({"age": 19}, []),
        ({"age": 18}, ["I1"]),
        ({"age": 69}, []),
        ({"age": 70}, ["I1"]),
        ({"diagnosis": "S33.5"}, []),
        ({"diagnosis": "G54.2"}, ["I2"]),
        ({"screening_nrs": 4}, ["I3"]),
        ({"region": "neither"}, ["I3"]),
        ({"procedure_planned": "no"}, ["I4"]),
        ({"consent_date": None}, ["I5"]),
        ({"consent_difficulty": "yes"}, ["E1"]),
        ({"pregnancy": "yes"}, ["E2"]),
        ({"sex": "male", "pregnancy": None}, []),
        ({"severe_disease": "yes", "unsuitable": "yes"}, ["E3", "E4"]),
    ],
)
def test_eligibility_follows_the_record(
    uspp: Definition, changed: dict[str, Any], failed: list[str]
) -> None:
    allowed = judged(uspp, {**ELIGIBLE, **changed})
    assert [code for code, allows in allowed.items() if not allows] == failed
    assert all(allows is not None for allows in allowed.values())


def test_a_criterion_that_nobody_answered_neither_admits_nor_excludes(uspp: Definition) -> None:
    allowed = judged(uspp, {**ELIGIBLE, "pregnancy": None, "screening_nrs": None})
    assert (allowed["E2"], allowed["I3"], allowed["E3"]) == (None, None, True)


# A second study beside it -----------------------------------------------------------------------


def test_a_second_study_has_nothing_of_the_first(uspp: Definition, needle: Definition) -> None:
    assert needle.protocol.cohort is None
    assert [arm.code for arm in needle.protocol.arms] == ["DN", "INF"]
    assert needle.instruments.keys() & uspp.instruments.keys() == {"odi", "ae_check"}
    assert needle.instruments["odi"] == uspp.instruments["odi"]
    assert not {v.code for v in needle.protocol.visits} & {v.code for v in uspp.protocol.visits}


def test_a_form_may_depend_on_the_arm(needle: Definition) -> None:
    forms = {arm: due(needle, "m1", arm=arm) for arm in ("DN", "INF")}
    assert forms == {"DN": ["odi", "fear_avoidance", "ae_check"], "INF": ["odi", "ae_check"]}


def test_the_consent_form_in_force_on_a_day(needle: Definition) -> None:
    consent = needle.protocol.consent("study")
    days = [dt.date(2025, 12, 31), dt.date(2026, 1, 1), dt.date(2026, 5, 31), dt.date(2026, 6, 1)]
    found = [consent.valid_on(day) for day in days]
    assert [version and version.version for version in found] == [None, "1.0", "1.0", "1.1"]


# What is published ------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", [USPP, NEEDLE], ids=lambda folder: folder.name)
def test_the_canonical_text_is_stable(folder: Path) -> None:
    text = canonical(load(folder))
    again = Definition.from_content(json.loads(text))
    assert canonical(again) == text
    assert again == load(folder)
    assert again.sha256 == load(folder).sha256
    assert text == json.dumps(
        json.loads(text), sort_keys=True, ensure_ascii=False, separators=(",", ":")
    )


def test_the_digest_changes_with_any_word(tmp_path: Path, needle: Definition) -> None:
    study = broken_copy(tmp_path, "protocol.yaml", "en: Month 3", "en: Month three")
    assert load(study).sha256 != needle.sha256


def test_order_in_the_file_does_not_matter_to_the_digest(
    tmp_path: Path, needle: Definition
) -> None:
    study = broken_copy(tmp_path, "protocol.yaml", "code: needle\n", "")
    file = study / "protocol.yaml"
    file.write_text(file.read_text() + "code: needle\n")
    assert load(study).sha256 == needle.sha256


def test_a_definition_cannot_be_changed(needle: Definition) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        needle.protocol.cap = 21  # type: ignore[misc]


def test_every_text_is_in_both_languages(uspp: Definition) -> None:
    content = json.loads(canonical(uspp))

    def texts(part: Any) -> list[dict[str, str]]:
        if isinstance(part, dict):
            if part.keys() == {"ko", "en"}:
                return [part]
            return [text for value in part.values() for text in texts(value)]
        return [text for each in part for text in texts(each)] if isinstance(part, list) else []

    found = texts(content)
    assert len(found) > 500
    assert all(text["ko"] and text["en"] for text in found)
    hangul = [t for t in found if any("가" <= letter <= "힣" for letter in t["en"])]
    assert hangul == []


def test_a_text_is_given_in_the_language_asked_for() -> None:
    text = Text(ko="방문", en="Visit")
    assert [text.get(lang) for lang in ("ko", "ko-kr", "en", "en-gb")] == [
        "방문",
        "방문",
        "Visit",
        "Visit",
    ]


def test_parts_are_found_by_their_codes(uspp: Definition) -> None:
    protocol = uspp.protocol
    assert protocol.visit("w4").day == 28
    assert protocol.site("PNU").short.ko == "부산대한방"
    assert protocol.criterion("E2").kind == "exclusion"
    assert protocol.endpoint("nrs_w4").primary
    assert protocol.log("procedure").label.en == "Procedures"
    assert uspp.instrument("nrs").item("pain").critical
    with pytest.raises(KeyError):
        protocol.visit("w3")


def test_a_site_is_in_a_time_zone_that_exists() -> None:
    site = {"code": "AAA", "name": {"ko": "가", "en": "A"}, "short": {"ko": "가", "en": "A"}}
    with pytest.raises(ValidationError, match="is not a time zone"):
        SiteDefinition.model_validate({**site, "timezone": "Asia/Seol"})


def test_consent_versions_stand_in_order() -> None:
    versions = [
        {"version": "2", "valid_from": "2026-02-01"},
        {"version": "1", "valid_from": "2026-01-01"},
    ]
    consent = {"kind": "study", "label": {"ko": "동의", "en": "Consent"}, "required": True}
    with pytest.raises(ValidationError, match="in order of their dates"):
        ConsentDefinition.model_validate({**consent, "versions": versions})


# Where it is read from ---------------------------------------------------------------------------


def test_a_study_s_own_instrument_comes_before_the_shared_one(tmp_path: Path) -> None:
    study = broken_copy(tmp_path, "protocol.yaml", "cap: 20", "cap: 20")
    shared = (ROOT / "crf" / "instruments" / "odi.yaml").read_text(encoding="utf-8")
    own = shared.replace("short: {ko: ODI, en: ODI}", "short: {ko: ODI, en: Our ODI}")
    (study / "instruments" / "odi.yaml").write_text(own, encoding="utf-8")
    assert load(study).instruments["odi"].short.en == "Our ODI"


def test_words_that_plain_yaml_would_turn_into_other_things_stay_words(tmp_path: Path) -> None:
    study = broken_copy(
        tmp_path,
        "instruments/needle_screening.yaml",
        "kind: yesno, label: {ko: 바늘 공포증, en: Fear of needles}",
        "kind: choice, label: {ko: 예, en: Yes}, options: "
        "[{code: yes, label: {ko: 예, en: Yes}}, {code: no, label: {ko: 아니요, en: No}}]",
    )
    item: Any = load(study).instruments["needle_screening"].item("fear_of_needles")
    assert [(option.code, option.label.en) for option in item.options] == [
        ("yes", "Yes"),
        ("no", "No"),
    ]
