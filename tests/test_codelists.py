"""Diagnoses, points and products are found as people type them: by code, in Korean, in English."""

import csv
import unicodedata

import pytest

from crf.codelists import FOLDER, LISTS, find, named, search, version


def codes(name: str, text: str, limit: int = 20) -> list[str]:
    return [coded.code for coded in search(name, text, limit)]


@pytest.mark.parametrize("text", ["M54.5", "m54.5", "M545", "m545", "Ｍ５４．５", " M54.5 "])
def test_a_diagnosis_is_found_by_its_code_however_written(text: str) -> None:
    assert codes("kcd", text)[0] == "M54.5"
    found = find("kcd", text)
    assert found is not None
    assert (found.code, found.ko, found.en) == ("M54.5", "요통", "Low back pain")


def test_the_beginning_of_a_code_lists_what_begins_so() -> None:
    found = codes("kcd", "M50", limit=50)
    assert found[0] == "M50"
    assert found[1:] == ["M50.0", "M50.1", "M50.2", "M50.3", "M50.8", "M50.9"]


def test_a_diagnosis_is_found_by_its_korean_name() -> None:
    assert codes("kcd", "요통")[0] == "M54.5"
    assert "S33.5" in codes("kcd", "요추 염좌")
    assert "M50.1" in codes("kcd", "경추간판 신경뿌리병증")


def test_decomposed_hangul_finds_the_same() -> None:
    decomposed = unicodedata.normalize("NFD", "좌골신경통")
    assert decomposed != "좌골신경통"
    assert codes("kcd", decomposed) == codes("kcd", "좌골신경통") != []


def test_a_diagnosis_is_found_by_its_english_name() -> None:
    assert codes("kcd", "low back pain")[0] == "M54.5"
    assert codes("kcd", "LOW BACK")[0] == "M54.5"
    assert codes("kcd", "sciatica lumbar")[0] == "M54.36"


def test_names_that_begin_so_come_before_names_that_contain_it() -> None:
    found = search("kcd", "sciatica", limit=50)
    begins = [coded.en.startswith("Sciatica") for coded in found]
    assert begins == sorted(begins, reverse=True)
    assert any(begins)
    assert not all(begins)


def test_no_more_than_asked_for() -> None:
    assert len(codes("kcd", "M", limit=7)) == 7
    assert len(codes("kcd", "M")) == 20


@pytest.mark.parametrize("text", ["", "   ", "%", ".", "없는진단명", "x" * 100_000])
def test_what_is_not_there_is_not_found(text: str) -> None:
    assert codes("kcd", text) == []
    assert find("kcd", text) is None


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("acupoint", "bl23", "BL23"),
        ("acupoint", "신유", "BL23"),
        ("acupoint", "shenshu", "BL23"),
        ("acupoint", "EX-B2", "EX-B2"),
        ("acupoint", "exb2", "EX-B2"),
        ("acupoint", "협척 L4", "EX-B2-L4"),
        ("site", "L45", "L4-L5"),
        ("site", "l4/5", "L4-L5"),
        ("site", "l5s1", "L5-S1"),
        ("site", "천골", "S1"),
        ("structure", "후관", "FACET"),
        ("structure", "nerve root", "ROOT"),
        ("product", "봉독", "BV"),
        ("product", "봉침", "BV"),
        ("product", "sweet bee", "SBV"),
        ("chuna", "복잡", "COMPLEX"),
        ("chuna", "simple", "SIMPLE"),
    ],
)
def test_the_other_lists_are_found_the_same_way(name: str, text: str, code: str) -> None:
    assert code in codes(name, text)


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("structure", "후관절", "FACET"),
        ("structure", "facet joint", "FACET"),
        ("site", "L45", "L4-L5"),
        ("site", "C7/T1", "C7-T1"),
        ("acupoint", "신유", "BL23"),
        ("acupoint", "신", None),
        ("site", "T12", None),  # T1–T2, or the vertebra? Nobody guesses.
        ("site", "", None),
    ],
)
def test_a_whole_name_alone_says_which_entry_is_meant(
    name: str, text: str, code: str | None
) -> None:
    found = named(name, text)
    assert (found.code if found else None) == code


def test_every_list_is_complete_and_says_its_version() -> None:
    sizes = {}
    for name, (file, _) in LISTS.items():
        with (FOLDER / file).open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
        sizes[name] = len(rows)
        assert len({row["code"] for row in rows}) == len(rows)
        for row in rows:
            assert row["ko"].strip()
            assert row["en"].strip()
            found = find(name, row["code"])
            assert found is not None
            assert found.code == row["code"]
        assert version(name)
    assert sizes == {
        "kcd": 1271,
        "acupoint": 409 + 24,  # EX-B2 by level
        "product": 13,
        "chuna": 3,
        "site": 33,
        "structure": 23,
    }
    assert version("kcd") == "KCD-8 (spine subset)"


def test_a_label_is_in_the_language_asked_for() -> None:
    found = find("product", "BV")
    assert found is not None
    assert (found.label("ko"), found.label("en")) == ("봉독약침", "Bee venom")
