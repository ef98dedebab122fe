"""What a plausible answer is, by the name of a question: the only place that knows names.

A question that no table here names is answered by its kind alone (`registry.simulation.answers`),
so that any study can be simulated; the tables only make a familiar one look familiar. Every text
is invented, and nothing here is a result of a study.
"""

from __future__ import annotations

import datetime as dt
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Case:
    """One participant on one day, as whoever fills in a form would know them.

    `severity` runs from 0 to 1 and is behind everything that the person feels; `relief` is the
    share of it that went since the start. `given` are answers that are settled already, of this
    form or of earlier ones; `trait` is a participant's own lean on a question.
    """

    rng: random.Random
    seed: str
    cohort: str
    day: dt.date
    consented_on: dt.date
    severity: float
    relief: float = 0.0
    events: bool = False
    given: dict[str, Any] = field(default_factory=dict)

    def trait(self, name: str) -> float:
        """A number around 0 that is this participant's alone and always the same."""
        return random.Random(f"{self.seed}:{name}").gauss(0, 0.08)

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability


Draw = Callable[[Case], Any]

# Share of a scale that full severity reaches, by the name of a score. Others use all of it.
REACH: Mapping[str, float] = {"ndi": 0.74, "odi": 0.70, "eq5d5l": 0.66}

_DIAGNOSES: Mapping[str, Sequence[str]] = {
    "cervical": ("M50.1", "M50.2", "M54.12", "M53.12", "M47.22", "M48.02", "S13.4"),
    "lumbar": ("M51.1", "M51.2", "M54.16", "M48.06", "M47.26", "M54.46", "S33.50"),
}
_POINTS: Mapping[str, Sequence[str]] = {
    "cervical": ("GB20", "GB21", "BL10", "GV14", "SI15", "BL11"),
    "lumbar": ("BL23", "BL25", "BL26", "GV3", "GV4", "GB30"),
}
_LEVELS: Mapping[str, Sequence[str]] = {
    "cervical": ("C4-C5", "C5-C6", "C6-C7"),
    "lumbar": ("L3-L4", "L4-L5", "L5-S1"),
}
_TARGETS: Mapping[str, Sequence[str]] = {
    "cervical": ("FACET", "MBB", "ROOT", "MULTIFIDUS", "SPLENIUS"),
    "lumbar": ("FACET", "MBB", "ROOT", "MULTIFIDUS", "ERECTOR", "INTERSPINOUS"),
}


def _yes(probability: float) -> Draw:
    return lambda case: "yes" if case.chance(probability) else "no"


def _one(*words: str) -> Draw:
    return lambda case: case.rng.choice(words)


def _number(low: int, high: int) -> Draw:
    return lambda case: case.rng.randint(low, high)


def _decimal(mean: float, spread: float, low: float, high: float) -> Draw:
    def draw(case: Case) -> str:
        return f"{min(high, max(low, case.rng.gauss(mean, spread))):.1f}"

    return draw


def _by_cohort(codes: Mapping[str, Sequence[str]]) -> Draw:
    every = tuple(dict.fromkeys(code for each in codes.values() for code in each))

    def draw(case: Case) -> Any:
        among = codes.get(case.cohort, every)
        return case.rng.choice(among)

    return draw


def _other_than(name: str, otherwise: Draw) -> Draw:
    """Not what that question was answered with, where there is something else."""

    def draw(case: Case) -> Any:
        drawn = (otherwise(case) for _try in range(20))
        return next((each for each in drawn if each != case.given.get(name)), otherwise(case))

    return draw


def _again(name: str, otherwise: Draw) -> Draw:
    """The answer that an earlier form gave, or a new one."""
    return lambda case: case.given.get(name) or otherwise(case)


def _onset(case: Case) -> str:
    days = int(case.rng.choice((case.rng.uniform(3, 40), case.rng.expovariate(1 / 400) + 80)))
    day = case.consented_on - dt.timedelta(days=min(days, 6000))
    return day.isoformat() if days < 60 else day.isoformat()[:7]


def _duration(case: Case) -> str:
    onset = str(case.given.get("onset_date") or case.consented_on)
    first = dt.date.fromisoformat((onset + "-15")[:10])
    days = (case.consented_on - first).days
    return "acute" if days < 42 else "subacute" if days <= 84 else "chronic"


def _volume(case: Case) -> str:
    return f"{case.rng.choice((0.5, 1, 1, 1.5, 2, 2, 3, 4))}"


def _lot(case: Case) -> str:
    return f"P{case.day:%y%m}-{case.rng.randint(1, 40):03d}"


def _needle(case: Case) -> str:
    return case.rng.choice(("38.0", "50.0", "60.0"))


def _depth(case: Case) -> str:
    length = float(case.given.get("needle_length") or 38)
    return f"{case.rng.uniform(0.3, 0.95) * length:.1f}"


_DRUGS = _one("아세트아미노펜", "세레콕시브", "에페리손", "프레가발린", "암로디핀", "메트포르민")

VALUES: Mapping[str, Draw] = {
    # Screening
    "diagnosis": _by_cohort(_DIAGNOSES),
    "procedure_planned": _yes(0.97),
    "consent_difficulty": _yes(0.02),
    "pregnancy": _yes(0.03),
    "severe_disease": _yes(0.03),
    "severe_disease_name": _one("위암(치료 중)", "유방암 병력", "간경변"),
    "unsuitable": _yes(0.02),
    "unsuitable_reason": _one("추적 방문이 어려움", "타 임상시험 참여 중"),
    # Baseline
    "care_setting": lambda case: "inpatient" if case.chance(0.3) else "outpatient",
    "height": _decimal(166, 8.5, 148, 188),
    "weight": _decimal(67, 11, 44, 105),
    "occupation_other": _one("운전직", "군인", "예술인"),
    "cigarettes_per_day": _number(3, 20),
    "onset_date": _onset,
    "pain_duration": _duration,
    "spine_surgery": _yes(0.06),
    "main_diagnosis": _again("diagnosis", _by_cohort(_DIAGNOSES)),
    "additional_diagnosis": _by_cohort(_DIAGNOSES),
    "anticoagulant": _yes(0.07),
    "allergy": _yes(0.08),
    "allergy_detail": _one("페니실린, 두드러기", "새우, 가려움", "꽃가루, 비염"),
    # Procedures
    "performed_on": lambda case: case.day.isoformat(),
    "purpose": lambda case: ["guiding"] if case.chance(0.7) else ["screening", "guiding"],
    "product": lambda case: case.rng.choices(
        ("SHINBARO2", "SHINBARO1", "HWANGRYUN", "JUNGSONG", "HOMINIS", "SBV", "BV"),
        (40, 20, 12, 12, 6, 6, 4),
    )[0],
    "volume": _volume,
    "lot": _lot,
    "skin_test": lambda case: "negative" if case.chance(0.7) else "tolerated",
    "venom_allergy": _yes(0.01),
    "point": _by_cohort(_POINTS),
    "target_site": _by_cohort(_LEVELS),
    "target_site_2": _other_than("target_site_1", _by_cohort(_LEVELS)),
    "target_side": lambda case: case.rng.choices(("left", "right", "bilateral"), (40, 40, 20))[0],
    "target": _by_cohort(_TARGETS),
    "max_insertion": _depth,
    "needle_gauge": _one("g25", "g26", "g27", "g29"),
    "needle_length": _needle,
    "probe": lambda case: "linear" if case.chance(0.75) else "convex",
    "probe_frequency": lambda case: case.rng.choice(("5.0", "7.5", "10.0", "12.0")),
    "probe_cover": _yes(0.9),
    "sterile_gloves": _yes(0.95),
    # Concurrent treatments
    "acupuncture": _yes(0.7),
    "herbal": _yes(0.4),
    "herbal_name": _one("청파전", "오적산", "독활기생탕", "작약감초탕"),
    "moxibustion": _yes(0.15),
    "cupping": _yes(0.35),
    "chuna": _yes(0.4),
    "physical_therapy": _yes(0.3),
    "injection": _yes(0.03),
    "injection_detail": _one("경막외 스테로이드 주사, 타 병원", "신경차단술 1회, 타 병원"),
    "medication": _yes(0.3),
    "drug_name": _DRUGS,
    # Scales of their own
    "eq_vas": lambda case: round(100 * (1 - 0.75 * case.severity)),
    # Adverse events
    "ae_occurred": lambda case: "yes" if case.events else "no",
    "ae_asked_by": lambda case: "in_person" if case.chance(0.9) else "phone",
    "ae_ongoing_changed": _yes(0.02),
    # Deviations
    "category": lambda case: "visit_window" if case.chance(0.6) else "assessment",
    "description": _one(
        "허용 범위를 벗어나 방문함", "설문 일부를 작성하지 않음", "평가 순서가 바뀜"
    ),
    "cause": _one("대상자 개인 일정", "담당자 착오", "예약 변경 안내 누락"),
    "action": _one("대상자에게 방문 일정을 다시 안내함", "담당자 교육을 시행함"),
    "irb_reported": _yes(0.2),
}

# How often a question is answered that need not be; others seldom are.
OPTIONAL: Mapping[str, float] = {
    "eq_vas": 0.85,
    "point": 0.45,
    "target_site_1": 0.95,
    "target_site_2": 0.3,
    "target_site_3": 0.0,
}
SELDOM = 0.15

# Endings that say what a number counts.
ENDINGS: Mapping[str, Draw] = {"_count": _number(1, 6), "_days": _number(3, 14)}

_COPY = re.compile(r"_\d+$")


def known(code: str) -> Draw | None:
    """How the question of this name is answered, also as a copy of a group."""
    stem = _COPY.sub("", code)
    found = VALUES.get(code) or VALUES.get(stem)
    return found or next((draw for end, draw in ENDINGS.items() if stem.endswith(end)), None)


MISSED = ("대상자가 방문하지 않음", "개인 일정으로 방문하지 못함", "연락되지 않음")
OUT_OF_WINDOW = ("대상자 개인 일정", "명절 연휴", "대상자 출장", "감기로 방문을 미룸")
CORRECTED = ("원자료 대조 후 정정", "입력 오류 정정", "설문지 재확인")
CONFIRMED = ("원자료와 일치함을 확인하였습니다.", "대상자에게 확인하였습니다.", "값이 맞습니다.")
ASKED = (
    "원자료와 일치하는지 확인해 주십시오.",
    "이전 방문과 차이가 큽니다. 원자료를 확인해 주십시오.",
    "기록의 근거가 되는 원자료를 확인해 주십시오.",
)
SETTLED = ("확인하였습니다.", "답변을 확인하고 종결합니다.")


@dataclass(frozen=True)
class Reaction:
    """An adverse event as it may be reported; `term` is a name of CTCAE."""

    weight: int
    symptom: str
    term: str
    grades: Sequence[int]
    days: tuple[int, int]  # how long it lasts
    time: str = "plausible"  # the answers behind the causality, as `safety.causality` asks them
    alt: str = "excluded"
    definitive: str = "N"
    treatment: str = ""
    seriousness: Sequence[str] = ()
    narrative: str = ""


REACTIONS = (
    Reaction(34, "시술 부위 통증", "Injection site reaction", (1, 1, 1, 2), (1, 4)),
    Reaction(22, "시술 부위 멍", "Bruising", (1, 1, 1, 2), (3, 10), definitive="Y"),
    Reaction(14, "시술 부위 출혈", "Injection site reaction", (1,), (0, 1), definitive="Y"),
    Reaction(8, "시술 후 어지럼", "Dizziness", (1, 1, 2), (0, 1), time="reasonable"),
    Reaction(5, "시술 부위 가려움과 발적", "Pruritus", (1, 2), (1, 3), treatment="냉찜질"),
    Reaction(5, "두통", "Headache", (1, 2), (1, 3), time="reasonable", alt="possible"),
    Reaction(4, "다리 저림 증가", "Paresthesia", (1, 2), (2, 9), alt="possible"),
    Reaction(3, "시술 직후 식은땀과 실신 전 증상", "Presyncope", (2,), (0, 0), treatment="안정"),
    Reaction(2, "소화불량", "Dyspepsia", (1,), (2, 6), time="improbable", alt="plausible"),
)
SERIOUS = (
    Reaction(
        1,
        "폐렴으로 입원",
        "Lung infection",
        (3,),
        (6, 12),
        time="improbable",
        alt="plausible",
        treatment="항생제 정맥 투여",
        seriousness=("hospitalisation",),
        narrative="발열과 기침으로 타 병원에 입원하여 항생제 치료 후 호전되어 퇴원함.",
    ),
    Reaction(
        1,
        "시술 후 전신 두드러기와 호흡 곤란으로 응급실 방문",
        "Allergic reaction",
        (3,),
        (1, 2),
        treatment="항히스타민제, 스테로이드 투여",
        seriousness=("other_important",),
        narrative="시술 30분 뒤 전신 두드러기와 호흡 곤란이 있어 응급실에서 처치 후 호전됨.",
    ),
)

_FAMILY = ("김", "이", "박", "최", "정", "강", "조", "윤", "장", "임", "한", "오", "서", "신", "권")
_GIVEN = {
    "female": (
        "지영",
        "미경",
        "은주",
        "수진",
        "현정",
        "영희",
        "정숙",
        "혜진",
        "유나",
        "선영",
        "경희",
    ),
    "male": (
        "성호",
        "민수",
        "재훈",
        "영호",
        "동현",
        "정수",
        "준호",
        "상철",
        "병욱",
        "기태",
        "현우",
    ),
}


def name(rng: random.Random, sex: str) -> str:
    return rng.choice(_FAMILY) + rng.choice(_GIVEN[sex])
