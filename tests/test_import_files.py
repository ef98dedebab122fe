"""A file that somebody chose is read without trust, or refused in a sentence."""

from __future__ import annotations

import datetime as dt
import io
import zipfile

import pytest
import yaml

from crf.imports.mapping import Mapping, checked, guess
from crf.imports.sheet import COLUMNS, LARGEST, LINES, file_name, read_sheet
from crf.instrument import load
from sites.access import Refused
from tests.lists import MAP, csv, repacked, xlsx
from tests.protocols import USPP

LINE = ("JSS-001", "w0", 7)
HEAD = ["대상자번호", "방문", "통증"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
def test_csv_is_read_in_every_encoding_that_korean_excel_writes(encoding):
    sheet = read_sheet("list.csv", csv(LINE, encoding=encoding))
    assert sheet.headers == HEAD
    assert sheet.lines == [(2, ["JSS-001", "w0", "7"])]


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_csv_may_have_another_separator(delimiter):
    content = csv(LINE).replace(b",", delimiter.encode())
    assert read_sheet("list.CSV", content).lines == [(2, ["JSS-001", "w0", "7"])]


def test_line_numbers_are_those_of_the_file():
    content = b'a,b\r\n\r\n1,"two\r\nlines"\r\n,,\r\n3,4\r\n'
    assert [number for number, _cells in read_sheet("a.csv", content).lines] == [3, 6]


@pytest.mark.requirement("S10")
def test_a_workbook_is_read_as_text_and_formulas_stay_what_they_are():
    content = xlsx(
        ("JSS-001", dt.date(2026, 11, 20), 7.0), ("JSS-002", "=1+1", 36.6), (None, None, None)
    )
    assert read_sheet("list.xlsx", content).lines == [
        (2, ["JSS-001", "2026-11-20", "7"]),
        (3, ["JSS-002", "=1+1", "36.6"]),
    ]


BOMB = repacked(xlsx(LINE), **{"xl/media/a.bin": b"\0" * (61 * 1024 * 1024)})
ENTITIES = repacked(
    xlsx(LINE),
    **{
        "xl/sharedStrings.xml": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><sst>&b;</sst>'
    },
)
UTF16 = repacked(
    xlsx(LINE), **{"xl/sharedStrings.xml": '<?xml version="1.0"?><sst/>'.encode("utf-16")}
)
REFUSED = {
    "empty": ("a.csv", b"", "비어"),
    "unknown": ("a.svg", b"<svg/>", "CSV"),
    "macros": ("a.xlsm", xlsx(LINE), "CSV"),
    "two_endings": ("a.csv.exe", csv(LINE), "CSV"),
    "zip_as_csv": ("a.csv", xlsx(LINE), "CSV"),
    "csv_as_xlsx": ("a.xlsx", csv(LINE), "XLSX"),
    "not_a_workbook": ("a.xlsx", b"PK\x03\x04 nothing", "XLSX"),
    "bomb": ("a.xlsx", BOMB, ""),
    "entities": ("a.xlsx", ENTITIES, ""),
    "hidden_entities": ("a.xlsx", UTF16, ""),
    "binary": ("a.csv", b"a,b\n\x00,1\n", "UTF-8"),
    "bytes": ("a.csv", b"a,b\n\xff\xfe\xfa,1\n", "UTF-8"),
    "heading_alone": ("a.csv", b"a,b\r\n", ""),
    "twice": ("a.csv", b"a,a\r\n1,2\r\n", "a"),
    "quotes": ("a.csv", b'a,b\r\n"1"2,3\r\n', "2"),
    "long_cell": ("a.csv", b"a,b\r\n1," + b"x" * 5000 + b"\r\n", "2"),
    "columns": ("a.csv", ",".join(map(str, range(COLUMNS + 1))).encode() + b"\n1\n", str(COLUMNS)),
    "lines": ("a.csv", b"a\n" + b"1\n" * (LINES + 1), str(LINES)),
    "size": ("a.csv", b"a\n" + b"1" * LARGEST, "5"),
    "rrn": ("a.csv", csv(LINE, ("JSS-002", "w0", "800505-2123456")), "3"),
    "rrn_full_width": ("a.csv", csv(("JSS-002", "w0", "８００５０５-２１２３４５６")), "2"),
}  # fmt: skip


@pytest.mark.requirement("S11")
@pytest.mark.requirement("K06")
@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_list_is_refused_in_a_sentence(case):
    name, content, said = REFUSED[case]
    with pytest.raises(Refused) as refused:
        read_sheet(name, content)
    assert refused.value.field == "file"
    assert said in str(refused.value)


def test_a_part_that_is_larger_than_it_admits_is_refused():
    content = bytearray(xlsx(LINE))
    with zipfile.ZipFile(io.BytesIO(bytes(content))) as archive:
        part = archive.getinfo("xl/workbook.xml")
    size = part.file_size.to_bytes(4, "little")
    content = content.replace(size, (1).to_bytes(4, "little"))
    with pytest.raises(Refused):
        read_sheet("a.xlsx", bytes(content))


def test_a_name_is_never_a_path():
    assert file_name("../../etc/목록.csv") == "목록.csv"
    assert file_name("C:\\lists\\a\x00.csv") == "a.csv"
    assert len(file_name("x" * 300 + ".csv")) == 100
    with pytest.raises(Refused):
        file_name("800505-2123456.csv")


# What the columns are -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def definition():
    return load(USPP)


@pytest.mark.parametrize(
    ("header", "to"),
    [
        ("대상자 번호", "subject"),
        ("Subject", "subject"),
        ("방문", "visit"),
        ("pain", "nrs.pain"),
        ("가장 심한 통증의 강도 (0-10)", "nrs.pain"),
        ("NRS: Intensity of the most dominant pain (0–10)", "nrs.pain"),
        ("ODI_01", "odi.odi_01"),
        ("키", "baseline.height"),
        ("Ｈｅｉｇｈｔ", "baseline.height"),
        ("차트번호", None),
    ],
)
def test_headings_are_told_from_codes_and_labels_in_both_languages(definition, header, to):
    assert guess([header], definition).get(header) == to


def test_one_question_is_guessed_once(definition):
    assert list(guess(["pain", "Pain"], definition).values()) == ["nrs.pain"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"columns": {"통증": "nrs.pain", "방문": "visit"}}, "columns"),
        ({"columns": {"대상자번호": "subject", "통증": "nrs.pain"}}, "columns"),
        ({"columns": {"대상자번호": "subject", "방문": "visit"}}, "columns"),
        ({"visit": "w4"}, "columns"),
        ({"columns": {**MAP["columns"], "통증": "nrs.nothing"}}, "columns"),
        ({"columns": {**MAP["columns"], "다른 열": "odi.odi_01"}}, "columns"),
        ({"columns": {"대상자번호": "subject", "통증": "nrs.pain"}, "visit": "w99"}, "visit"),
        ({"columns": {**MAP["columns"], "방문": "nrs.pain"}}, "columns"),
        ({"missing": {"x": "asleep"}}, "columns"),
        ({"unknown": 1}, "columns"),
        ({"columns": ["대상자번호"]}, "columns"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused(definition, change, field):
    with pytest.raises(Refused) as refused:
        checked({**MAP, **change}, definition, HEAD)
    assert refused.value.field == field


def test_a_mapping_is_a_file_and_back():
    content = {
        **MAP,
        "columns": {**MAP["columns"], "통증": {"to": "nrs.pain", "values": {"없음": "0"}}},
    }
    mapping = Mapping.model_validate(content)
    assert Mapping.model_validate(yaml.safe_load(mapping.as_yaml())) == mapping
    assert "대상자번호: subject" in mapping.as_yaml()
