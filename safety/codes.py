"""The closed lists of an adverse event report, with what E2B(R3) calls them.

Outcome (E.i.7) and action (G.k.8) are stored under their E2B codes. Seriousness is six yes/no
elements there, so that ours are named and the element stands beside each. Korean labels follow the
tables of the Ministry of Food and Drug Safety (MFDS).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Code:
    """What is stored, what is read, and the element or code under which E2B(R3) sends it."""

    code: str
    label: Mapping[str, str]
    e2b: str


def _code(code: str, ko: str, en: str, e2b: str = "") -> Code:
    return Code(code=code, label={"ko": ko, "en": en}, e2b=e2b or code)


# ICH E2A, E2B(R3) E.i.3.2
SERIOUSNESS = (
    _code("died", "사망", "Death", "E.i.3.2a"),
    _code("life_threatening", "생명의 위협", "Life-threatening", "E.i.3.2b"),
    _code(
        "hospitalisation",
        "입원 또는 입원기간의 연장",
        "Inpatient hospitalisation or its prolongation",
        "E.i.3.2c",
    ),
    _code(
        "disability",
        "중대한 불구나 기능저하",
        "Persistent or significant disability or incapacity",
        "E.i.3.2d",
    ),
    _code("congenital", "선천적 기형 초래", "Congenital anomaly or birth defect", "E.i.3.2e"),
    _code(
        "other_important",
        "기타 의학적으로 중요한 상황",
        "Other medically important condition",
        "E.i.3.2f",
    ),
)

# E2B(R3) E.i.7
OUTCOMES = (
    _code("1", "회복됨", "Recovered or resolved"),
    _code("2", "회복중", "Recovering or resolving"),
    _code("3", "회복되지 않았음", "Not recovered or not resolved"),
    _code("4", "회복했지만 후유증 있음", "Recovered or resolved with sequelae"),
    _code("5", "사망", "Fatal"),
    _code("0", "알려지지 않음", "Unknown"),
)

# E2B(R3) G.k.8
ACTIONS = (
    _code("1", "투여 중지", "Treatment stopped"),
    _code("2", "투여량 감소", "Dose reduced"),
    _code("3", "투여량 증가", "Dose increased"),
    _code("4", "투여량 변경하지 않음", "Dose not changed"),
    _code("0", "모름", "Unknown"),
    _code("9", "해당사항 없음", "Not applicable"),
)


def find(codes: Iterable[Code], code: str) -> Code:
    """The entry of a list by our code."""
    for entry in codes:
        if entry.code == code:
            return entry
    raise ValueError(f"There is no {code!r} in this list.")


def choices(codes: Iterable[Code], language: str) -> list[tuple[str, str]]:
    """What a form field or a model field takes as its choices."""
    return [(entry.code, entry.label[language]) for entry in codes]
