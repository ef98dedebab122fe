"""CTCAE: what may be chosen under each version, how a term is found, and what is read from NCI's
workbook.
"""

from collections import Counter

import openpyxl
import pytest

from safety.ctcae import GRADES, VERSIONS, grades, load_workbook, search, term, terms

BRUISING, BACK_PAIN, EDEMA_LIMBS, NERVE_INJURY = "10006504", "10003988", "10050068", "10052897"


@pytest.mark.parametrize(("version", "count"), [("5.0", 837), ("6.0", 850)])
def test_a_version_has_its_published_terms_and_classes(version, count):
    listed = terms(version)
    assert len(listed) == count
    assert len({entry.code for entry in listed}) == len({entry.name for entry in listed}) == count
    assert len({entry.soc for entry in listed}) == 26
    assert sum(entry.other_specify for entry in listed) == 26
    assert all(entry.other_specify == entry.name.endswith("Other, specify") for entry in listed)
    assert all(entry.code.isdecimal() and len(entry.code) == 8 for entry in listed)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_term_has_at_least_one_grade_in_order(version):
    for entry in terms(version):
        assert entry.grades
        assert list(entry.grades) == sorted(set(entry.grades) & set(GRADES))


def test_47_terms_are_in_version_5_alone_and_60_in_version_6_alone():
    five, six = ({entry.name for entry in terms(version)} for version in VERSIONS)
    assert len(five - six) == 47
    assert len(six - five) == 60
    assert {"Edema limbs", "Eczema", "Spinal fracture", "Wheezing"} <= five - six
    assert {"Nerve injury", "Peripheral edema", "Tissue injury"} <= six - five


def test_only_grades_that_exist_for_the_term_can_be_given():
    assert grades("5.0", BRUISING) == (1, 2)
    assert grades("5.0", BACK_PAIN) == (1, 2, 3)
    assert grades("6.0", "10002218") == (3, 4, 5)  # anaphylaxis


def test_a_term_is_of_its_version_only():
    assert term("5.0", EDEMA_LIMBS).name == "Edema limbs"
    assert term("6.0", NERVE_INJURY).ko == "신경 손상"
    for version, code in (("6.0", EDEMA_LIMBS), ("5.0", NERVE_INJURY), ("5.0", "")):
        with pytest.raises(ValueError, match=f"CTCAE {version} has no term {code}"):
            term(version, code)


@pytest.mark.parametrize("version", ["4.03", "5", "../5.0", ""])
def test_an_unknown_version_is_refused(version):
    with pytest.raises(ValueError, match=r"there are 5\.0, 6\.0"):
        terms(version)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("bruising", "Bruising"),
        ("  BRUIS ", "Bruising"),
        ("Ｂｒｕｉｓｉｎｇ", "Bruising"),
        ("pain", "Pain"),
        ("pain neck", "Neck pain"),
        ("injection site", "Injection site reaction"),
        ("10006504", "Bruising"),
        ("멍", "Bruising"),
        ("주사부위 반응", "Injection site reaction"),
        ("주사 부위", "Injection site reaction"),
        ("요통", "Back pain"),
        ("허리통증", "Back pain"),
        ("오심", "Nausea"),
        ("어지러움", "Dizziness"),
        ("기흉", "Pneumothorax"),
        ("AST", "Aspartate aminotransferase increased"),
    ],
)
def test_a_term_is_found_by_its_english_or_korean_name_or_code(text, first):
    for version in VERSIONS:
        assert search(version, text)[0].name == first


def test_words_are_not_found_across_a_space_of_an_english_name():
    assert "Retinal tear" not in [entry.name for entry in search("5.0", "alt", limit=900)]


def test_a_search_keeps_to_its_version_and_limit():
    assert EDEMA_LIMBS not in [entry.code for entry in search("6.0", "edema", limit=900)]
    assert len(search("5.0", "pain", limit=3)) == 3
    assert len(search("5.0", "1000", limit=4)) == 4


@pytest.mark.parametrize("text", ["", "   ", "zzzz", "없는증상", "%", "x" * 100_000])
def test_a_search_for_nothing_finds_nothing(text):
    assert search("5.0", text) == ()


def test_likely_events_have_a_short_korean_name_of_their_own():
    for version in VERSIONS:
        named = Counter(entry.ko for entry in terms(version) if entry.ko)
        assert len(named) >= 100
        assert max(named.values()) == 1
    assert all(set(label) == {"ko", "en"} for label in GRADES.values())


# The workbook of NCI: the columns are theirs, the texts here are ours.

COLUMNS_5 = ["MedDRA Code", "MedDRA SOC", "CTCAE Term"]
COLUMNS_6 = [
    "CTCAE v6.0 MedDRA 28.0 LLT Code",
    "CTCAE v6.0 MedDRA 28.0 SOC",
    "CTCAE v6.0 MedDRA 28.0 Term",
]
GRADE_COLUMNS = [f"Grade {grade} \xa0\xa0" for grade in GRADES]
REST = ["Definition", "Navigational Note", "CTCAE Change"]


@pytest.fixture
def workbook(tmp_path):
    def write(*sheets, name="ctcae.xlsx"):
        book = openpyxl.Workbook()
        book.remove(book.active)
        for title, rows in sheets:
            sheet = book.create_sheet(title)
            for row in rows:
                sheet.append(row)
        book.save(tmp_path / name)
        return tmp_path / name

    return write


def test_a_workbook_of_version_5_is_read(workbook):
    path = workbook(
        (
            "CTCAE v5.0 Clean Copy",
            [
                [*COLUMNS_5, *GRADE_COLUMNS, *REST],
                [10006504, "Injury", "Bruising", "one", "two\xa0 lines\n", "-", " -", None, "x"],
                ["10003988", "Musculoskeletal", "Back pain", "a", "b", "c", "-", "-", "y"],
                [None, None, None, None, None, None, None, None, None],
            ],
        )
    )
    assert load_workbook(path) == {
        BRUISING: {1: "one", 2: "two lines"},
        BACK_PAIN: {1: "a", 2: "b", 3: "c"},
    }


def test_in_a_workbook_of_version_6_the_clean_copy_is_read(workbook):
    header = [*COLUMNS_6, *GRADE_COLUMNS, *REST]
    path = workbook(
        ("Publication Notes", [[None] * 22, ["a note"]]),
        ("CTCAE v6.0 Clean Copy", [header, [10052897, "s", "t", "clean", "-", "-", "-", "-"]]),
        ("CTCAE v6.0 Tracked Changes", [header, [10052897, "s", "t", "tracked", "b", "c"]]),
        ("Errata", [[*COLUMNS_6, "Grade/Definition", "Previous Version", "Updated Version"]]),
    )
    assert load_workbook(path) == {NERVE_INJURY: {1: "clean"}}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_workbook_must_hold_the_terms_of_the_version_that_is_asked_for(workbook, version):
    other = next(each for each in VERSIONS if each != version)
    rows = [
        [entry.code, entry.soc, entry.name]
        + ["text" if grade in entry.grades else "-" for grade in GRADES]
        for entry in terms(version)
    ]
    path = workbook(("Clean Copy", [[*COLUMNS_5, *GRADE_COLUMNS], *rows]))
    read = load_workbook(path, version=version)
    assert {code: tuple(texts) for code, texts in read.items()} == {
        entry.code: entry.grades for entry in terms(version)
    }
    with pytest.raises(ValueError, match=rf"is not CTCAE {other}: 107 terms differ"):
        load_workbook(path, version=other)


def test_a_workbook_of_another_kind_is_refused(workbook):
    path = workbook(("Sheet1", [["a", "b"], [1, 2]]), ("Empty", []))
    with pytest.raises(ValueError, match="has no sheet with a code and the grades"):
        load_workbook(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("text.xlsx", b"not a workbook"),
        ("empty.xlsx", b""),
        ("old.xls", b"\xd0\xcf\x11\xe0"),
        ("zip.xlsx", b"PK\x05\x06" + bytes(18)),
    ],
)
def test_a_file_that_is_no_workbook_is_refused(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{name} can't be read as an Excel workbook"):
        load_workbook(path)


def test_a_workbook_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ValueError, match="can't be read"):
        load_workbook(tmp_path / "none.xlsx")
