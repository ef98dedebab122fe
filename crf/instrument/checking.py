"""What must hold between the parts of a definition before it may be published.

Each part alone is checked by its model. Here: codes that stand twice, names that must exist
elsewhere, visits in order, scores that fit their items, and every expression: that it compiles,
uses names that it may use at its place, and gives true or false for answers of the right kind (each
is tried on samples, so that comparing a number with a word is found here and not at a participant's
visit).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias, TypeGuard

from crf import codelists
from crf.conditions import FACTS, RESERVED
from crf.instrument.definition import Definition
from crf.instrument.expressions import Name, Names, faults, name_of, names_of
from crf.instrument.items import (
    ChoiceItem,
    CodeItem,
    DateItem,
    Group,
    Instrument,
    IntegerItem,
    Item,
    Line,
    ScoreUse,
    Section,
)
from crf.scoring import SCORES, compute, settings_for
from registry.protocol import NOT_STUDIES, SEXES, Protocol, VisitDefinition

Where: TypeAlias = tuple[int | str, ...]

LONGEST = 32
CHARTED, SIDES = "site", frozenset(["left", "right", "bilateral", "midline"])
# Columns that every table of the dataset has, beside the facts of `conditions`.
COLUMNS = frozenset(
    ["entry", "instrument", "meta", "number", "participant", "site", "status", "study", "subject"]
)


@dataclass(frozen=True)
class Finding:
    """`instrument` is empty for the protocol itself."""

    instrument: str
    where: Where
    message: str


def check(definition: Definition) -> Iterator[Finding]:
    for where, message in _protocol(definition):
        yield Finding("", where, message)
    for code, instrument in definition.instruments.items():
        for where, message in _instrument(instrument, _facts(definition.protocol)):
            yield Finding(code, where, message)


_Findings: TypeAlias = Iterator[tuple[Where, str]]


# --- the protocol -------------------------------------------------------------------------------


def _protocol(definition: Definition) -> _Findings:
    protocol = definition.protocol
    if protocol.code in NOT_STUDIES:
        message = f"“{protocol.code}” is an address of the software and can't be a study's code."
        yield ("code",), message
    yield from _protocol_codes(protocol)
    yield from _windows(protocol)
    yield from _references(definition)
    yield from _cohort(definition)
    yield from _endpoints(definition)
    facts = _facts(protocol)
    known = ("cohort", "arm", "sex", "age", "birth_year", "consent_date", "visit")
    at_visits = {name: facts[name] for name in known if name in facts}
    for v, visit in enumerate(protocol.visits):
        for f, form in enumerate(visit.forms):
            if form.when:
                yield from _expressed(("visits", v, "forms", f, "when"), form.when, at_visits)
    for f, form in enumerate(protocol.unscheduled or ()):
        if form.when:
            yield from _expressed(("unscheduled", f, "when"), form.when, at_visits)
    before = ("sex", "age", "birth_year", "consent_date", "today")
    at_screening = {name: facts[name] for name in before} | names_of(
        definition.instruments[protocol.screening]
    )
    for n, criterion in enumerate(protocol.eligibility):
        yield from _expressed(("eligibility", n, "met"), criterion.met, at_screening)


def _protocol_codes(protocol: Protocol) -> _Findings:
    lists: dict[Where, Iterable[str]] = {
        ("sites",): (each.code for each in protocol.sites),
        ("consents",): (each.kind for each in protocol.consents),
        ("prescreen_reasons",): (each.code for each in protocol.prescreen_reasons),
        ("arms",): (each.code for each in protocol.arms),
        ("eligibility",): (each.code for each in protocol.eligibility),
        ("visits",): (each.code for each in protocol.visits),
        ("unscheduled",): (each.instrument for each in protocol.unscheduled or ()),
        ("logs",): (each.instrument for each in protocol.logs),
        ("end_of_study", "reasons"): (each.code for each in protocol.end_of_study.reasons),
        ("deviation_categories",): (each.code for each in protocol.deviation_categories),
        ("endpoints",): (each.code for each in protocol.endpoints),
    }
    for v, visit in enumerate(protocol.visits):
        lists["visits", v, "forms"] = (form.instrument for form in visit.forms)
    if protocol.cohort:
        lists["cohort", "options"] = (each.code for each in protocol.cohort.options)
    if protocol.sharing:
        lists["sharing", "requires"] = (each.code for each in protocol.sharing.requires)
        lists["sharing", "provides"] = (each.code for each in protocol.sharing.provides)
    for where, codes in lists.items():
        for n, code in _repeated(codes):
            yield (*where, n), f"“{code}” stands twice in {' '.join(map(str, where))}."


def _windows(protocol: Protocol) -> _Findings:
    for n, (earlier, later) in enumerate(pairwise(protocol.visits), start=1):
        pair = f"{_days(later)} and {_days(earlier)}"
        if later.day <= earlier.day:
            yield ("visits", n, "day"), f"{pair} are not in the order of their days."
        elif later.opens <= earlier.opens or later.closes <= earlier.closes:
            yield ("visits", n, "day"), f"The windows of {pair} overlap in the wrong order."
        elif later.opens <= earlier.day or later.day <= earlier.closes:
            yield ("visits", n, "day"), f"The windows of {pair} overlap beyond a planned day."


def _days(visit: VisitDefinition) -> str:
    return f"“{visit.code}” (days {visit.opens} to {visit.closes})"


def _references(definition: Definition) -> _Findings:
    protocol = definition.protocol
    kinds = {each.kind for each in protocol.consents}
    if not any(each.required for each in protocol.consents):
        yield ("consents",), "No consent is required, so nobody could be screened."
    if protocol.sharing and protocol.sharing.consent not in kinds:
        yield ("sharing", "consent"), f"There is no consent “{protocol.sharing.consent}”."
    for n, log in enumerate(protocol.logs):
        if not definition.instruments[log.instrument].repeating:
            yield (
                ("logs", n, "instrument"),
                f"“{log.instrument}” is a log here, but does not repeat.",
            )
    procedure = protocol.safety.procedure
    if procedure and procedure not in {log.instrument for log in protocol.logs}:
        yield ("safety", "procedure"), f"“{procedure}” is not one of the logs."
    if definition.instruments[protocol.screening].repeating:
        yield (
            ("screening",),
            f"“{protocol.screening}” repeats; the screening form is filled in once.",
        )
    for v, visit in enumerate(protocol.visits):
        for f, form in enumerate(visit.forms):
            if definition.instruments[form.instrument].repeating:
                message = f"“{form.instrument}” repeats; a form of a visit is filled in once."
                yield ("visits", v, "forms", f, "instrument"), message
        if not any(
            form.instrument == protocol.safety.ask and not form.when for form in visit.forms
        ):
            message = f"“{visit.code}” does not ask for adverse events ({protocol.safety.ask})."
            yield ("visits", v, "forms"), message


def _cohort(definition: Definition) -> _Findings:
    cohort = definition.protocol.cohort
    if cohort is None:
        return
    screening = definition.instruments[definition.protocol.screening]
    item = screening.item(cohort.item) if screening.has(cohort.item) else None
    if not isinstance(item, ChoiceItem):
        yield ("cohort", "item"), f"“{screening.code}” has no choice “{cohort.item}”."
        return
    codes = {option.code for option in item.options}
    for n, option in enumerate(cohort.options):
        if option.code not in codes:
            message = f"“{option.code}” is not an option of “{cohort.item}” in “{screening.code}”."
            yield ("cohort", "options", n), message


def _endpoints(definition: Definition) -> _Findings:
    visits = {visit.code: visit for visit in definition.protocol.visits}
    for n, endpoint in enumerate(definition.protocol.endpoints):
        instrument = definition.instruments.get(endpoint.instrument)
        if instrument is None or endpoint.score not in dict(_outputs(instrument)):
            message = f"“{endpoint.instrument}” gives no score “{endpoint.score}”."
            yield ("endpoints", n, "score"), message
            continue
        for key, code in (("from_visit", endpoint.from_visit), ("to_visit", endpoint.to_visit)):
            if code is None:
                continue
            if code not in visits:
                yield ("endpoints", n, key), f"There is no visit “{code}”."
            elif endpoint.instrument not in {form.instrument for form in visits[code].forms}:
                yield ("endpoints", n, key), f"“{endpoint.instrument}” is not a form of “{code}”."
    if sum(endpoint.primary for endpoint in definition.protocol.endpoints) != 1:
        yield ("endpoints",), "Exactly one endpoint must be the primary one."


def _facts(protocol: Protocol) -> dict[str, Name]:
    """Facts with the codes of this study; one that the study does not have can't be asked for."""
    kinds = {"integer": (1, 60), "date": ("2026-02-27", "2026-03-01")}
    facts = {name: Name(kinds[kind]) for name, kind in FACTS.items() if kind != "code"}
    lists: dict[str, Iterable[str]] = {
        "sex": SEXES,
        "visit": (visit.code for visit in protocol.visits),
        "cohort": (each.code for each in protocol.cohort.options) if protocol.cohort else (),
        "arm": (arm.code for arm in protocol.arms),
    }
    for name, listed in lists.items():
        if codes := tuple(listed):
            facts[name] = Name(codes[:2], frozenset(codes))
    return facts


# --- an instrument ------------------------------------------------------------------------------


def _instrument(instrument: Instrument, facts: Names) -> _Findings:
    yield from _item_codes(instrument)
    yield from _copied(instrument)
    yield from _charts(instrument)
    names = dict(facts)
    for where, item in _placed(instrument):
        if isinstance(item, CodeItem) and item.list not in codelists.LISTS:
            yield (
                (*where, "list"),
                f"There is no code list “{item.list}”; there are {_and(codelists.LISTS)}.",
            )
        if item.when:
            later = {each.code for each in instrument.items} - names.keys()
            yield from _expressed((*where, "when"), item.when, names, later)
        names[item.code] = name_of(item)
    for n, check in enumerate(instrument.checks):
        yield from _expressed(("checks", n, "ok"), check.ok, names)
        for i, code in enumerate(check.items):
            if not instrument.has(code):
                yield ("checks", n, "items", i), f"There is no item “{code}”."
    for n, use in enumerate(instrument.scores):
        yield from _score(("scores", n), use, instrument)


def _placed(instrument: Instrument) -> Iterator[tuple[Where, Item]]:
    """Every item, the copies of a group too, with its place in the file."""
    for s, section in enumerate(instrument.sections):
        for i, each in enumerate(section.items):
            where = ("sections", s, "items", i)
            if isinstance(each, Group):
                for copy in each.copies:
                    yield from (((*where, "items", n), item) for n, item in enumerate(copy))
            elif isinstance(each, Line):
                yield from (((*where, "items", n), item) for n, item in enumerate(each.items))
            else:
                yield where, each


def _copied(instrument: Instrument) -> _Findings:
    if instrument.copied and not instrument.repeating:
        yield ("copied",), "Only a repeating form has an earlier one to copy from."
    plain = {item.code: item for section in instrument.sections for item in _plain(section)}
    for n, code in enumerate(instrument.copied):
        if code not in plain:
            yield ("copied", n), f"There is no item “{code}”."
        elif isinstance(plain[code], DateItem):
            yield ("copied", n), f"“{code}” is a date, which is never copied."


def _plain(section: Section) -> Iterator[Item]:
    """The items of a section as they are written, those of a group once."""
    for each in section.items:
        if isinstance(each, Group | Line):
            yield from each.items
        else:
            yield each


def _charts(instrument: Instrument) -> _Findings:
    for s, section in enumerate(instrument.sections):
        for i, each in enumerate(section.items):
            if isinstance(each, Group) and each.chart:
                place, side = (*each.items, None)[:2]
                codes = {option.code for option in side.options} if _sided(side) else set()
                if not (isinstance(place, CodeItem) and place.list == CHARTED and codes >= SIDES):
                    message = f"A chart needs a place of the list “{CHARTED}”, then its side."
                    yield ("sections", s, "items", i, "chart"), message


def _sided(item: Item | None) -> TypeGuard[ChoiceItem]:
    return isinstance(item, ChoiceItem)


def _item_codes(instrument: Instrument) -> _Findings:
    for n, code in _repeated(section.code for section in instrument.sections):
        yield ("sections", n, "code"), f"The section “{code}” stands twice."
    for n, code in _repeated(check.code for check in instrument.checks):
        yield ("checks", n, "code"), f"The check “{code}” stands twice."
    seen: set[str] = set()
    outputs = dict(_outputs(instrument))
    reserved = RESERVED | COLUMNS | FACTS.keys()
    for where, item in _placed(instrument):
        if item.code in seen:
            yield (*where, "code"), f"The item “{item.code}” stands twice."
        elif item.code in reserved:
            yield (*where, "code"), f"“{item.code}” is a reserved name and can't be an item."
        elif item.code in outputs:
            yield (*where, "code"), f"“{item.code}” is what a score of this form is called."
        elif len(item.code) > LONGEST:
            yield (*where, "code"), f"“{item.code}” is longer than {LONGEST} letters."
        seen.add(item.code)
    columns = [column for column, _ in _outputs(instrument)]
    for n, column in _repeated(columns):
        use = list(_outputs(instrument))[n][1]
        yield ("scores", use), f"Two scores give “{column}”; one of them needs a prefix."


def _outputs(instrument: Instrument) -> Iterator[tuple[str, int]]:
    """Each column that the scores give, with the place of its score."""
    for n, use in enumerate(instrument.scores):
        if use.score in SCORES:
            yield from ((use.column(output.name), n) for output in SCORES[use.score].outputs)


def _score(where: Where, use: ScoreUse, instrument: Instrument) -> _Findings:
    if use.score not in SCORES:
        yield (*where, "score"), f"There is no score “{use.score}”; there are {_and(SCORES)}."
        return
    unknown = [(n, code) for n, code in enumerate(use.items) if not instrument.has(code)]
    for n, code in unknown:
        yield (*where, "items", n), f"There is no item “{code}”."
    expected = SCORES[use.score].inputs
    if len(use.items) != expected:
        message = f"“{use.score}” takes {expected} items, but {len(use.items)} are named."
        yield (*where, "items"), message
    elif not unknown:
        yield from _scorable(where, use, instrument)


def _scorable(where: Where, use: ScoreUse, instrument: Instrument) -> _Findings:
    try:
        settings = settings_for(use.score, use.settings)
    except ValueError as error:
        yield (*where, "settings"), str(error)
        return
    ends = [_ends(instrument.item(code)) for code in use.items]
    for n, found in enumerate(ends):
        if found is None:
            message = (
                f"“{use.items[n]}” has no whole numbers between two ends, so it can't be scored."
            )
            yield (*where, "items", n), message
    for extreme in (0, 1):
        if all(ends):
            try:
                compute(use.score, [found[extreme] for found in ends if found], **settings)
            except ValueError as error:
                yield (*where, "items"), f"“{use.score}” does not fit these items: {error}"


def _ends(item: Item) -> tuple[int, int] | None:
    if isinstance(item, IntegerItem) and item.min is not None and item.max is not None:
        return item.min, item.max
    if isinstance(item, ChoiceItem):
        codes = [option.code for option in item.options if isinstance(option.code, int)]
        return (min(codes), max(codes)) if len(codes) == len(item.options) else None
    return None


def _repeated(codes: Iterable[str]) -> Iterator[tuple[int, str]]:
    seen: set[str] = set()
    for n, code in enumerate(codes):
        if code in seen:
            yield n, code
        seen.add(code)


def _and(names: Iterable[str]) -> str:
    return ", ".join(names)


def _expressed(where: Where, source: str, names: Names, later: Iterable[str] = ()) -> _Findings:
    return ((where, fault) for fault in faults(source, names, later))
