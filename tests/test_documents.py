"""Casebooks and blank forms: complete, readable on paper, fetched from nowhere, had by whom they
name.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import subprocess
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone, translation
from fontTools.ttLib import TTFont
from PIL import Image, ImageChops, ImageDraw, ImageFont
from weasyprint.urls import FatalURLFetchingError

from crf.casebook import score_texts
from crf.definitions import definition_of, instrument_of
from crf.display import answer_text
from crf.history import participant_changes
from crf.models import Entry, Query, QueryMessage, Signature, Verification
from crf.services import (
    answer_query,
    ask_query,
    complete,
    save_entry,
    sign,
    signature_digest,
    verify,
    void_entry,
)
from crf.services.entries import missing_reasons
from exports.documents import pdf, renderer
from exports.documents.casebook import Printed
from exports.documents.making import print_blank, print_casebook
from exports.models import Document
from registry import jobs, tasks
from registry.models import Identity, Job, Participant, ProtocolVersion
from registry.templatetags.edc import stamp
from safety.models import AdverseEvent
from sites.access import Refused
from sites.audit import Actor, acting
from sites.models import AccessLog, Membership
from tests.cast import PASSWORD, actor, seeing
from tests.paper import Paper, said, squashed
from tests.story import play
from tests.workers import job_in, queue, workshop

__all__ = ["queue", "workshop"]

REASON = "원본 대조 방문"
LONG = "환자가 매우 긴 설명을 하였음: " + "통증이 어깨에서 손끝까지 뻗치며 밤에 더 심해짐. " * 30
HOSTILE = '<img src="http://127.0.0.1:6379/x"><script>1</script> & "따옴표" 😀'


def url(name, *args):
    return reverse(name, args=["uspp", *args])


@pytest.fixture
def lived(fresh_database, jss, coordinator, investigator, monitor, datamanager):
    """A participant to whom everything has happened that a casebook tells."""
    by, asker = actor(coordinator, jss), actor(monitor, jss)
    with seeing(jss):
        person = play(jss, by, name="비밀이름", birth_date=dt.date(1980, 5, 5))
        visit = person.visits.exclude(happened_on=None).get()
        forms = {entry.instrument: entry for entry in visit.entries.all()}
        nrs = forms["nrs"]
        save_entry(entry=nrs, changes={"pain": 7}, by=by)
        complete(entry=_fresh(nrs), by=by)
        query = ask_query(text="원자료와 다릅니까?", entry=_fresh(nrs), item="pain", by=asker)
        save_entry(entry=_fresh(nrs), changes={"pain": 9}, reason="옮겨 적을 때 틀림", by=by)
        answer_query(query=query, text="원자료는 9점입니다.", by=by)
        baseline = forms["baseline"]
        save_entry(
            entry=baseline,
            changes={"height": "171.5", "occupation": "other", "occupation_other": HOSTILE[:200]},
            missing={"weight": "refused"},
            by=by,
        )
        concurrent = forms["concurrent"]
        save_entry(entry=concurrent, changes={"other_treatment": LONG[:200]}, by=by)
        void_entry(entry=_fresh(concurrent), reason="다른 사람의 서식을 입력함", by=by)
        verify(entry=_fresh(nrs), by=asker)
        with acting(by):
            for number, void in ((1, ""), (2, "두 번 입력함")):
                AdverseEvent.objects.create(
                    site=jss,
                    participant=person,
                    number=number,
                    symptom=f"시술 부위 멍 {number}",
                    onset="2026-06",
                    grade=1,
                    causality="possible",
                    outcome="1",
                    aware_on=visit.happened_on,
                    narrative=LONG,
                    voided_at=timezone.now() if void else None,
                    void_reason=void,
                )
        sign(
            participant=person,
            meaning="reviewed",
            shown_digest=signature_digest(person),
            password=PASSWORD,
            signer=investigator,
            by=actor(investigator, jss),
        )
    return person


def _fresh(entry):
    return Entry.objects.select_related("participant", "site", "visit").get(pk=entry.pk)


def printed(person, path, language="ko", **about):
    for_whom = Printed(**({"by": "김인쇄 (kim)", "at": _AT, "reason": REASON} | about))
    with translation.override(language):
        print_casebook(person.pk, [person.site_id], for_whom, path)
    return Paper(path)


_AT = dt.datetime(2026, 11, 21, 14, 3, 22, tzinfo=dt.UTC)


# P02: complete -----------------------------------------------------------------------------------


@pytest.mark.requirement("P02")
@pytest.mark.requirement("P10")
@pytest.mark.requirement("K07")
def test_the_casebook_holds_everything_that_the_database_holds(lived, jss, tmp_path):
    """Nothing is missing, on each page stands whose it is, and who the person is stands nowhere."""
    paper = printed(lived, tmp_path / "a.pdf")
    with seeing(jss), translation.override("ko"):
        missing = [text for text in _recorded(lived) if not paper.holds(pdf.printable(text))]
        number = lived.number
    assert missing == []
    for place, page in enumerate(paper.pages, start=1):
        assert number in page
        assert f"{place} / {len(paper.pages)}" in page
        assert squashed("김인쇄 (kim), 2026-11-21 23:03:22 +09:00") in squashed(page)
        assert REASON in page
        assert "서식 버전 1.0" in page
    with seeing(jss):
        assert Identity.objects.filter(participant=lived).exists()
    for secret in ("비밀이름", "1980-05-05", "C-0"):
        assert not paper.holds(secret)


def _recorded(person):
    """Every text that the casebook owes its reader, out of the database."""
    zone = person.site.timezone
    for entry in person.entries.exclude(started_at=None):
        instrument = instrument_of(entry)
        why = missing_reasons(entry)
        for item in instrument.items:
            if item.code in entry.answers or item.code in why:
                yield item.label.ko
                yield answer_text(item, entry.answers.get(item.code), why.get(item.code))
        yield from (text for _label, text in score_texts(instrument, entry.scores, "ko"))
        yield from (entry.void_reason, stamp(entry.started_at, zone))
    for query in Query.objects.filter(participant=person):
        yield query.text
    for message in QueryMessage.objects.filter(query__participant=person):
        yield from (message.text, stamp(message.at, zone))
    for signature in Signature.objects.filter(participant=person):
        yield from (signature.printed_name, str(signature.get_meaning_display()))
        yield from (stamp(signature.signed_at, zone), signature.digest)
    for each in Verification.objects.filter(entry__participant=person):
        yield from (str(each.verified_by), stamp(each.verified_at, zone))
    for event in person.adverse_events.all():
        yield from (event.symptom, event.narrative, event.void_reason, event.onset)
    for consent in person.consents.all():
        yield from (consent.form_version, consent.explained_by, consent.signed_on.isoformat())
    for visit in person.visits.all():
        yield from (visit.due_on.isoformat(), visit.closes_on.isoformat())
    for change in participant_changes(person, see_arm=False):
        yield from (change.who, change.role, change.item, change.old, change.reason)
        yield from (change.new, stamp(change.at, zone), change.subject)


def test_bookmarks_name_each_visit_and_form(lived, tmp_path):
    paper = printed(lived, tmp_path / "a.pdf")
    definition = definition_of(lived.version_id)
    titles = [definition.instrument(code).title.ko for code in ("screening", "baseline", "nrs")]
    for title in (*titles, "0주(기저)", "서명", "감사 이력", "이상반응 1"):
        assert title in paper.bookmarks
    header = next(page for page in paper.pages if "통증 숫자평가척도" in page.split("\n\n")[0])
    assert "0주(기저)" in "\n".join(header.splitlines()[:4])


def test_in_english_the_frame_is_english(lived, tmp_path):
    paper = printed(lived, tmp_path / "a.pdf", "en")
    assert paper.holds("Entered in error")
    assert paper.holds("Worst pain") or paper.holds("Numerical rating scale of pain")
    assert not paper.holds("감사 이력")


@pytest.mark.requirement("G08")
def test_the_same_request_prints_the_same_bytes_again(lived, jss, coordinator, tmp_path):
    first, again = tmp_path / "1.pdf", tmp_path / "2.pdf"
    assert printed(lived, first).path.read_bytes() == printed(lived, again).path.read_bytes()
    for_whom = Printed(by="김인쇄 (kim)", at=_AT, reason=REASON)
    one = print_casebook(lived.pk, [jss.pk], for_whom, first)
    with seeing(jss):
        entry = lived.entries.get(instrument="nrs", visit__code="w0")
        save_entry(
            entry=_fresh(entry), changes={"pain": 8}, reason="정정", by=actor(coordinator, jss)
        )
    assert print_casebook(lived.pk, [jss.pk], for_whom, first)[1] != one[1]


# Readable on paper -------------------------------------------------------------------------------


def test_only_named_families_are_used_and_all_are_embedded(lived, jss, uspp, tmp_path):
    blank = tmp_path / "blank.pdf"
    print_blank(ProtocolVersion.objects.filter(study=uspp).latest("number"), blank)
    for paper in (printed(lived, tmp_path / "a.pdf"), Paper(blank)):
        assert paper.fonts
        for name, embedded in paper.fonts:
            assert name.removesuffix("-Bold") in {each.replace(" ", "") for each in pdf.FAMILIES}
            assert embedded


def test_hangul_is_drawn_as_hangul_and_no_page_is_empty(lived, tmp_path):
    """The picture of the paper, since the text inside a PDF of boxes reads just as well."""
    paper = printed(lived, tmp_path / "a.pdf")
    for number in (1, 2, 4, len(paper.pages)):
        assert paper.picture(number, tmp_path).getextrema()[0] < 128
    word, other = "통증완화", "두통심함"
    shown = _word_of(renderer.render(_alone(pdf.printable(word)))[0], tmp_path)
    assert _distance(shown, _drawn(word)) < 0.5 * _distance(shown, _drawn(other))
    assert _distance(shown, _drawn(word)) < 0.5 * _distance(shown, _tofu(len(word)))


def _alone(word):
    return f"<html lang=ko><body><p class=word>{word}</p></body></html>"


def _word_of(content, folder):
    (folder / "word.pdf").write_bytes(content)
    return _cut(Paper(folder / "word.pdf").picture(1, folder, 300).crop((150, 270, 1500, 400)))


def _drawn(word):
    image = Image.new("L", (2000, 400), 255)
    font = ImageFont.truetype(pdf.fonts()[0].file, 200)
    ImageDraw.Draw(image).text((50, 50), word, font=font, fill=0)
    return _cut(image)


def _tofu(number):
    image = Image.new("L", (2000, 400), 255)
    for place in range(number):
        left = 50 + place * 190
        ImageDraw.Draw(image).rectangle((left, 60, left + 140, 230), outline=0, width=12)
    return _cut(image)


def _cut(image):
    """What is drawn, in one size."""
    return image.crop(ImageChops.invert(image).getbbox()).resize((240, 60))


def _distance(one, other):
    difference = ImageChops.difference(one, other)
    return sum(value * count for value, count in enumerate(difference.histogram())) / (240 * 60)


def test_what_no_family_has_is_printed_as_its_number():
    assert pdf.printable("통증 😀 5 µg") == "통증 〔U+1F600〕 5 μg"
    with TTFont(pdf.fonts()[0].file) as font:
        assert ord("힣") in font.getBestCmap()


def test_a_machine_without_korean_type_says_so(monkeypatch, caplog):
    monkeypatch.setattr(pdf, "FAMILIES", ("No Such Family",))
    pdf.fonts.cache_clear()
    with translation.override("en"), pytest.raises(Refused, match="fonts-nanum"):
        pdf.fonts()
    from registry.celery import look_for_type

    look_for_type()
    assert "fonts-nanum" in caplog.text
    monkeypatch.undo()
    assert pdf.fonts()


# S12: fetched from nowhere -----------------------------------------------------------------------


ATTACKS = (
    '<img src="http://127.0.0.1:6379/">',
    '<img src="file:///etc/passwd">',
    '<link rel="attachment" href="file:///etc/passwd">',
    '<a rel="attachment" href="file:///etc/passwd">x</a>',
    '<link rel="stylesheet" href="http://127.0.0.1:6379/a.css">',
    '<style>@import "http://127.0.0.1/a.css"; p { background: url(file:///etc/passwd) }</style>',
    '<svg><use href="file:///etc/passwd#a"/></svg><object data="http://127.0.0.1/"></object>',
    '<img src="data:image/svg+xml,<svg xmlns=%22http://www.w3.org/2000/svg%22/>">',
)


@pytest.mark.requirement("S12")
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_document_fetches_nothing(attack, monkeypatch):
    """Neither the network nor the disk is asked, and such a document is not made at all."""
    opened = []
    monkeypatch.setattr("urllib.request.OpenerDirector.open", lambda *a, **k: opened.append(a))
    content = b""
    with contextlib.suppress(FatalURLFetchingError):
        content, _pages = renderer.render(f"<html><body><p>x</p>{attack}</body></html>")
    assert opened == []
    assert b"EmbeddedFile" not in content
    assert not content or attack.startswith(("<svg", "<style"))  # whose addresses are not even read


@pytest.mark.requirement("S12")
def test_markup_that_somebody_typed_is_printed_as_typed(lived, tmp_path):
    paper = printed(lived, tmp_path / "a.pdf", reason=HOSTILE)
    assert paper.holds(pdf.printable(HOSTILE[:60]))


@pytest.mark.requirement("S12")
def test_the_printing_process_knows_no_secret_and_has_limits(tmp_path, monkeypatch):
    assert set(pdf._environment()) <= {"PATH", "HOME", "LANG", "PYTHONHASHSEED"}
    monkeypatch.setattr(renderer, "STYLE", tmp_path / "none.css")
    program = "from exports.documents import renderer as r; r.MEMORY = 1 << 20; r.main()"
    done = subprocess.run(
        [pdf.sys.executable, "-c", program, str(tmp_path / "a.pdf")],
        input=b"<p>x</p>",
        capture_output=True,
        cwd=Path(pdf.__file__).parents[2],
    )
    assert done.returncode
    assert not (tmp_path / "a.pdf").exists()


def test_a_document_that_is_no_longer_wanted_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(pdf, "LOOK", 0.01)

    def gone():
        raise jobs.Lost

    with pytest.raises(jobs.Lost):
        pdf.print_to(tmp_path / "a.pdf", "<p>x</p>", gone)
    monkeypatch.setattr(pdf, "LONGEST", 0.0)
    with pytest.raises(RuntimeError, match="too long"):
        pdf.print_to(tmp_path / "a.pdf", "<p>x</p>")


# Blank forms -------------------------------------------------------------------------------------


@pytest.mark.requirement("G13")
def test_the_blank_forms_ask_everything_that_the_version_asks(database_with_protocol, tmp_path):
    version = database_with_protocol
    print_blank(version, tmp_path / "blank.pdf")
    paper = Paper(tmp_path / "blank.pdf")
    definition = definition_of(version.pk)
    for instrument in definition.instruments.values():
        assert paper.holds(instrument.title.ko)
        if instrument.licence:
            assert paper.holds(instrument.licence.ko)
        for section in instrument.sections:
            for item in section.items:
                for each in getattr(item, "items", [item]):
                    assert paper.holds(each.label.ko), each.code
                    for option in getattr(each, "options", ()):
                        assert paper.holds(option.label.ko), option.code
    for visit in definition.protocol.visits:
        assert visit.label.ko in paper.bookmarks
    order = [paper.bookmarks.index(each.label.ko) for each in definition.protocol.visits]
    assert order == sorted(order)
    for page in paper.pages[3:]:
        assert "대상자 번호" in page or "Subject number" in page


@pytest.fixture
def database_with_protocol(db, uspp):
    return ProtocolVersion.objects.filter(study=uspp).select_related("study").latest("number")


@pytest.mark.requirement("G13")
def test_blank_forms_are_made_once_for_everybody_of_the_study(workshop, as_, admin, coordinator):
    client = as_(admin)
    assert "PDF" in client.get(url("blank_forms")).content.decode()
    answer = client.post(url("blank_forms"), {"language": "ko"})
    job = Job.objects.get()
    assert answer["Location"] == url("document", job.pk)
    jobs.run(job.pk, tasks.KINDS)
    made = Document.objects.get()
    other = as_(coordinator)
    assert made.file_name in other.get(url("blank_forms")).content.decode()
    file = other.post(url("document_download", job.pk))
    assert b"".join(file.streaming_content)[:5] == b"%PDF-"
    assert AccessLog.objects.filter(route="document_download").count() == 0  # nobody's data
    assert other.post(url("blank_forms"), {"language": "xx"}).context["form"].errors


# Asking, watching, taking ------------------------------------------------------------------------


def test_a_casebook_by_a_real_worker_from_the_request_to_the_file(
    workshop, as_, coordinator, lived
):
    client = as_(coordinator)
    page = client.get(url("participant", lived.pk)).content.decode()
    assert url("casebook", lived.pk) in page
    answer = client.post(url("casebook", lived.pk), {"language": "en", "reason": REASON})
    job = Job.objects.get()
    assert answer["Location"] == url("document", job.pk)
    assert b'hx-trigger="load delay:1s"' in client.get(answer["Location"]).content
    workshop.worker()
    job_in(Job.State.DONE, job)
    finished = client.get(answer["Location"], headers={"HX-Request": "true"}).content.decode()
    assert "hx-get" not in finished
    made = Document.objects.get()
    assert made.sha256 in finished
    assert made.history.get().history_actor == "job:documents"
    file = client.post(url("document_download", job.pk))
    assert made.file_name in file["Content-Disposition"]
    path = workshop.artefacts / "taken.pdf"
    path.write_bytes(b"".join(file.streaming_content))
    paper = Paper(path)
    assert len(paper.pages) == made.pages
    assert paper.holds("coordinator (coordinator)")
    with seeing(lived.site):
        logged = AccessLog.objects.filter(route="document_download")
        assert [(each.participant_id, each.action) for each in logged] == [(lived.pk, "download")]
    assert sorted(workshop.artefacts.glob("documents/*")) == [
        workshop.artefacts / "documents" / f"{made.sha256}.pdf"
    ]


@pytest.fixture
def made(workshop, lived, as_, coordinator):
    """A casebook that the coordinator asked for and has."""
    as_(coordinator).post(url("casebook", lived.pk), {"language": "ko", "reason": REASON})
    job = Job.objects.get()
    jobs.run(job.pk, tasks.KINDS)
    return Document.objects.select_related("job").get(job=job)


@pytest.mark.requirement("K07")
def test_a_copy_is_for_the_one_whose_name_it_bears(made, as_, coordinator, monitor, coordinator2):
    for other in (monitor, coordinator2):
        client = as_(other)
        assert client.get(url("document", made.job_id)).status_code == 404
        assert client.post(url("document_download", made.job_id)).status_code == 404
    client = as_(coordinator)
    assert client.get(url("document_download", made.job_id)).status_code == 302
    assert client.get(url("casebook", made.participant_ids[0])).context["jobs"]


def test_who_lost_the_right_gets_nothing_any_more(made, as_, coordinator):
    with acting(Actor.job("demo")):
        Membership.objects.filter(user=coordinator).update(until=dt.date(2026, 1, 31))
    assert as_(coordinator).post(url("document_download", made.job_id)).status_code == 404


@pytest.mark.requirement("K04")
def test_the_worker_asks_again_whether_the_right_is_still_there(workshop, lived, as_, coordinator):
    as_(coordinator).post(url("casebook", lived.pk), {"language": "ko", "reason": REASON})
    with acting(Actor.job("demo")):
        Membership.objects.filter(user=coordinator).update(until=dt.date(2026, 1, 31))
    job = Job.objects.get()
    jobs.run(job.pk, tasks.KINDS)
    job.refresh_from_db()
    assert job.state == Job.State.FAILED
    assert job.error == "이 문서에 대한 권한이 더 이상 없어 만들지 않았습니다."
    assert Document.objects.count() == 0
    assert list(workshop.artefacts.glob("documents/*")) == []


def test_a_file_that_is_gone_is_said(made, as_, coordinator, workshop):
    for path in workshop.artefacts.glob("documents/*"):
        path.unlink()
    assert as_(coordinator).post(url("document_download", made.job_id)).status_code == 409


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"language": "ko", "reason": " "}, "reason"),
        ({"language": "ko", "reason": "800101-1234567"}, "reason"),
        ({"language": "fr", "reason": REASON}, "language"),
    ],
)
def test_an_incomplete_request_keeps_what_was_typed(
    db, as_, coordinator, participant, jss, typed, field
):
    page = as_(coordinator).post(url("casebook", participant(jss).pk), typed)
    assert page.context["form"].errors.keys() == {field}
    assert Job.objects.count() == 0


def test_roles_and_sites(db, as_, participant, jss, admin, auditor, coordinator2, monitor, djj):
    person = participant(djj)
    assert as_(admin).get(url("casebook", person.pk)).status_code == 403
    assert as_(auditor).get(url("casebook", person.pk)).status_code == 200
    assert as_(coordinator2).get(url("casebook", person.pk)).status_code == 200
    assert as_(monitor).get(url("site_casebooks", djj.pk)).status_code == 403
    own = participant(jss)
    former = as_(coordinator2).get(url("casebook", own.pk))
    assert former.status_code == 200  # monitor there
    assert as_(coordinator2).get(url("identity", own.pk)).status_code == 404


def test_another_sites_participant_does_not_exist(db, as_, participant, djj, coordinator):
    person = participant(djj)
    client = as_(coordinator)
    assert client.get(url("casebook", person.pk)).status_code == 404
    asked = client.post(url("casebook", person.pk), {"language": "ko", "reason": REASON})
    assert asked.status_code == 404
    assert Job.objects.count() == 0


def test_the_pages_need_few_queries(made, as_, coordinator, django_assert_max_num_queries):
    client = as_(coordinator)
    for path in (
        url("casebook", made.participant_ids[0]),
        url("document", made.job_id),
        url("blank_forms"),
    ):
        client.get(path)
        with django_assert_max_num_queries(12):
            client.get(path)


def test_all_casebooks_of_a_site_in_one_archive(
    workshop, lived, as_, datamanager, jss, coordinator
):
    with seeing(jss):
        play(jss, actor(coordinator, jss), stage="consented")
    client = as_(datamanager)
    assert url("site_casebooks", jss.pk) in client.get(url("study_sites")).content.decode()
    client.post(url("site_casebooks", jss.pk), {"language": "ko", "reason": REASON})
    job = Job.objects.get()
    jobs.run(job.pk, tasks.KINDS)
    made = Document.objects.get(job=job)
    path = workshop.artefacts / "documents" / f"{made.sha256}.zip"
    names = said("unzip", "-Z1", str(path)).split()
    with seeing(jss):
        assert names == [f"casebook-{each.number}.pdf" for each in _people(jss)]
    answer = client.post(url("document_download", job.pk))
    assert b"".join(answer.streaming_content)[:2] == b"PK"
    with seeing(jss):
        assert AccessLog.objects.filter(route="document_download").count() == 2


def _people(site):
    return Participant.objects.filter(site=site).order_by("screening_number")


# The commands ------------------------------------------------------------------------------------


def test_the_commands_write_what_they_say(lived, tmp_path, capsys):
    call_command("casebook", lived.number, out=tmp_path / "a.pdf", lang="en")
    assert Paper(tmp_path / "a.pdf").holds("manage.py casebook")
    call_command("blank_crf", study="uspp", out=tmp_path / "b.pdf")
    assert Paper(tmp_path / "b.pdf").holds("빈 증례기록서")
    assert "pages" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pdf", "b.pdf"]


def test_the_commands_say_what_is_wrong(lived, tmp_path):
    wrong = (
        ("casebook", ["JSS-999"], {"out": tmp_path / "a.pdf"}, "no participant"),
        ("casebook", [lived.number], {"out": tmp_path / "none" / "a.pdf"}, "no folder"),
        ("blank_crf", [], {"study": "none", "out": tmp_path / "a.pdf"}, "published"),
        ("blank_crf", [], {"study": "uspp", "out": tmp_path / "none" / "a.pdf"}, "no folder"),
    )
    for name, words, options, sentence in wrong:
        with pytest.raises(CommandError, match=sentence):
            call_command(name, *words, **options)
