"""A broken definition is refused before anything is published: file, line, and a sentence."""

from pathlib import Path

import pytest

from crf.instrument import Broken, load
from tests.protocols import ROOT, broken_copy

PROTOCOL = "protocol.yaml"
SCREENING = "instruments/needle_screening.yaml"
FEAR = "instruments/fear_avoidance.yaml"
SESSION = "instruments/session.yaml"
SCORED = "{score: nrs, items: [fear]}"

# file, what stands there, what is written instead, what the line that is named holds, the sentence
REFUSED = {
    "yaml": (PROTOCOL, "cap: 20", "cap: [20", "numbering:", "This is not valid YAML: "),
    "key_twice": (PROTOCOL, "cap: 20", "cap: 20\ncap: 21", "cap: 21", "“cap” stands here twice."),
    "missing": (PROTOCOL, "    day: 30\n", "", "- code: m1", "“day” is missing here."),
    "unknown_key": (PROTOCOL, "cap: 20", "cup: 20", "cup: 20", "“cup” is not known here."),
    "no_korean": (
        PROTOCOL,
        "{ko: 1개월, en: Month 1}",
        "{en: Month 1}",
        "label: {en: Month 1}",
        "“ko” is missing here.",
    ),
    "empty_english": (
        PROTOCOL,
        "{ko: 1개월, en: Month 1}",
        "{ko: 1개월, en: ''}",
        "label: {ko: 1개월, en: ''}",
        "“en”: String should have at least 1 character.",
    ),
    "number_for_text": (
        PROTOCOL,
        'version: "1.0"',
        "version: 1.0",
        "version: 1.0",
        "“version” must be text; put it in quotes.",
    ),
    "number_format": (
        PROTOCOL,
        'subject: "{site}/{n:02d}"',
        'subject: "{site}"',
        'subject: "{site}"',
        "“subject” must use both {site} and {n}, or two participants get one number.",
    ),
    "visit_called_unscheduled": (
        PROTOCOL,
        "code: m1",
        "code: unscheduled",
        "code: unscheduled",
        "“code” can't be “unscheduled”: that is what every other visit is called.",
    ),
    "unknown_instrument": (
        PROTOCOL,
        "{instrument: session,",
        "{instrument: sesion,",
        "instrument: sesion",
        "There is no instrument “sesion”.",
    ),
    "visit_twice": (
        PROTOCOL,
        "code: m3",
        "code: m1",
        "code: m1",
        "“m1” stands twice in visits.",
    ),
    "arm_twice": (PROTOCOL, "code: INF", "code: DN", "침윤 주사", "“DN” stands twice in arms."),
    "visit_order": (
        PROTOCOL,
        "day: 90",
        "day: 20",
        "day: 20",
        "“m3” (days 6 to 34) and “m1” (days 23 to 37) are not in the order of their days.",
    ),
    "windows": (
        PROTOCOL,
        "day: 90\n    before: 14",
        "day: 90\n    before: 80",
        "day: 90",
        "The windows of “m3” (days 10 to 104) and “m1” (days 23 to 37) overlap in the wrong order.",
    ),
    "window_over_day": (
        PROTOCOL,
        "day: 90\n    before: 14",
        "day: 90\n    before: 62",
        "day: 90",
        "The windows of “m3” (days 28 to 104) and “m1” (days 23 to 37) overlap beyond a planned "
        "day.",
    ),
    "syntax": (
        PROTOCOL,
        "met: age >= 18 && age <= 65",
        "met: age >=",
        "met: age >=",
        "“age >=” is not a valid expression: at character 7, mismatched input '<EOF>'.",
    ),
    "unknown_name": (
        PROTOCOL,
        "met: months_of_pain > 3",
        "met: years_of_pain > 3",
        "met: years_of_pain > 3",
        "“years_of_pain” can't be used here: years_of_pain > 3",
    ),
    "fact_the_study_lacks": (
        PROTOCOL,
        "when: arm == 'DN'",
        "when: cohort == 'DN'",
        "when: cohort == 'DN'",
        "“cohort” can't be used here: cohort == 'DN'",
    ),
    "unknown_arm": (
        PROTOCOL,
        "when: arm == 'DN'",
        "when: arm == 'ND'",
        "when: arm == 'ND'",
        "“ND” is not a value of “arm”: arm == 'ND'",
    ),
    "mixed_kinds": (
        PROTOCOL,
        "met: months_of_pain > 3",
        "met: months_of_pain > '3'",
        "met: months_of_pain > '3'",
        "This mixes kinds that don't go together: months_of_pain > '3'",
    ),
    "no_truth": (
        PROTOCOL,
        "met: months_of_pain > 3",
        "met: months_of_pain + 3",
        "met: months_of_pain + 3",
        "This gives 4 instead of true or false: months_of_pain + 3",
    ),
    "unknown_function": (
        PROTOCOL,
        "met: months_of_pain > 3",
        "met: years(months_of_pain) > 3",
        "met: years(",
        "There is no function “years”: years(months_of_pain) > 3",
    ),
    "endpoint_score": (
        PROTOCOL,
        "score: odi_percent",
        "score: odi_index",
        "score: odi_index",
        "“odi” gives no score “odi_index”.",
    ),
    "endpoint_visit": (
        PROTOCOL,
        "to_visit: m3",
        "to_visit: m6",
        "to_visit: m6",
        "There is no visit “m6”.",
    ),
    "no_primary": (
        PROTOCOL,
        "    primary: true\n",
        "",
        "endpoints:",
        "Exactly one endpoint must be the primary one.",
    ),
    "log_that_does_not_repeat": (
        PROTOCOL,
        "{instrument: session,",
        "{instrument: fear_avoidance,",
        "{instrument: fear_avoidance, label",
        "“fear_avoidance” is a log here, but does not repeat.",
    ),
    "no_question_for_adverse_events": (
        PROTOCOL,
        "      - instrument: fear_avoidance\n      - instrument: ae_check\n  - code: m1",
        "      - instrument: fear_avoidance\n  - code: m1",
        "forms:",
        "“d0” does not ask for adverse events (ae_check).",
    ),
    "no_consent": (
        PROTOCOL,
        "required: true",
        "required: false",
        "consents:",
        "No consent is required, so nobody could be screened.",
    ),
    "cohort_item": (
        PROTOCOL,
        "arms:",
        "cohort:\n  label: {ko: 군, en: Group}\n  item: group\n  options:\n"
        "    - {code: a, label: {ko: 가, en: A}}\n    - {code: b, label: {ko: 나, en: B}}\narms:",
        "  item: group",
        "“needle_screening” has no choice “group”.",
    ),
    "file_name": (
        SCREENING,
        "code: needle_screening",
        "code: needle_screen",
        "code: needle_screen",
        "The code is “needle_screen”, but the file is called needle_screening.yaml.",
    ),
    "unknown_kind": (
        SCREENING,
        "kind: yesno",
        "kind: yes_no",
        "kind: yes_no",
        "“yes_no” is not a kind of item.",
    ),
    "bad_code": (
        SCREENING,
        "code: months_of_pain",
        "code: Months",
        "code: Months",
        "“Months” can't be a code: ^[a-z][a-z0-9_]*$.",
    ),
    "item_twice": (
        SCREENING,
        "code: fear_of_needles",
        "code: months_of_pain",
        "kind: yesno",
        "The item “months_of_pain” stands twice.",
    ),
    "reserved": (
        SCREENING,
        "code: fear_of_needles",
        "code: age",
        "kind: yesno",
        "“age” is a reserved name and can't be an item.",
    ),
    "range": (
        SCREENING,
        "max: 600",
        "max: -1",
        "- code: months_of_pain",
        "The smallest value is larger than the largest.",
    ),
    "code_list": (
        SCREENING,
        "kind: yesno,",
        "kind: code, list: icd,",
        "kind: code",
        "There is no code list “icd”; there are kcd, acupoint, product, site, structure, chuna.",
    ),
    "option_twice": (
        FEAR,
        "options: [0, 1, 2,",
        "options: [0, 1, 1,",
        "options: [0",
        "The option “1” is there twice.",
    ),
    "looks_ahead": (
        FEAR,
        "display: scale",
        "when: avoided != null",
        "when: avoided",
        "“avoided” comes later in the form: avoided != null",
    ),
    "option_that_does_not_exist": (
        FEAR,
        "when: fear >= 4",
        "when: fear == 7",
        "when: fear == 7",
        "“7” is not a value of “fear”: fear == 7",
    ),
    "unknown_score": (
        FEAR,
        "sections:",
        "scores: [{score: vas, items: [fear]}]\nsections:",
        "score: vas",
        "There is no score “vas”; there are nrs, ndi, odi, eq5d5l, satisfaction.",
    ),
    "score_count": (
        FEAR,
        "sections:",
        "scores: [{score: eq5d5l, items: [fear]}]\nsections:",
        "score: eq5d5l",
        "“eq5d5l” takes 5 items, but 1 are named.",
    ),
    "score_item": (
        FEAR,
        "sections:",
        "scores: [{score: nrs, items: [dread]}]\nsections:",
        "score: nrs",
        "There is no item “dread”.",
    ),
    "score_of_text": (
        FEAR,
        "sections:",
        "scores: [{score: nrs, items: [avoided]}]\nsections:",
        "score: nrs",
        "“avoided” has no whole numbers between two ends, so it can't be scored.",
    ),
    "score_range": (
        FEAR,
        "sections:",
        "scores: [{score: satisfaction, items: [fear, fear, fear, fear, fear, fear]}]\nsections:",
        "score: satisfaction",
        "“satisfaction” does not fit these items: Item 1 must be between 1 and 5, not 0.",
    ),
    "score_setting": (
        FEAR,
        "sections:",
        "scores: [{score: nrs, items: [fear], settings: {recall: 3}}]\nsections:",
        "score: nrs",
        "Score nrs has no setting 'recall'.",
    ),
    "score_name_taken": (
        FEAR,
        "sections:",
        f"scores: [{SCORED}, {SCORED}]\nsections:",
        "score: nrs",
        "Two scores give “nrs”; one of them needs a prefix.",
    ),
    "check_item": (
        SESSION,
        "items: [treated_on]",
        "items: [treated]",
        "items: [treated]",
        "There is no item “treated”.",
    ),
    "check_name": (
        SESSION,
        "ok: treated_on >= consent_date",
        "ok: treated_on >= icf_date",
        "ok: treated_on >= icf_date",
        "“icf_date” can't be used here: treated_on >= icf_date",
    ),
    "outside_the_group": (
        SESSION,
        "ok: treated_on >= consent_date",
        "ok: depth <= 60",
        "ok: depth <= 60",
        "“depth” can't be used here: depth <= 60",
    ),
    "within_the_group": (
        SESSION,
        "when: depth >= 10",
        "when: depht >= 10",
        "when: depht >= 10",
        "“depht” can't be used here: (depht >= 10)",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_broken_definition_is_refused_with_file_line_and_sentence(
    tmp_path: Path, case: str
) -> None:
    file, old, new, held, sentence = REFUSED[case]
    study = broken_copy(tmp_path, file, old, new)
    with pytest.raises(Broken) as refusal:
        load(study)
    lines = (study / file).read_text(encoding="utf-8").splitlines()
    told = {
        (lines[problem.line - 1], problem.message)
        for problem in refusal.value.problems
        if problem.file == str(study / file)
    }
    assert any(held in line and message.startswith(sentence) for line, message in told), told
    assert f"{study / file}:" in str(refusal.value)


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    study = broken_copy(tmp_path, PROTOCOL, "when: arm == 'DN'", "when: arm == 'ND'")
    path = study / SESSION
    path.write_text(path.read_text().replace("items: [treated_on]", "items: [treated]"))
    with pytest.raises(Broken) as refusal:
        load(study)
    assert [Path(problem.file).name for problem in refusal.value.problems] == [
        "session.yaml",
        "protocol.yaml",
    ]


def test_a_study_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Broken, match=r"protocol\.yaml:1: There is no such file\."):
        load(tmp_path)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "protocol.yaml").write_text("# nothing yet\n")
    with pytest.raises(Broken, match="The file must hold keys and values"):
        load(tmp_path)


def test_a_file_of_our_own_is_named_from_the_project_folder() -> None:
    with pytest.raises(Broken) as refusal:
        load(ROOT / "registry" / "protocols" / "none")
    assert refusal.value.problems[0].file == "registry/protocols/none/protocol.yaml"
