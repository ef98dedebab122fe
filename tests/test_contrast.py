"""Contrast of all colour pairs in both themes (WCAG 2.2: 4.5 for text, 3 for edges)."""

import re
from pathlib import Path

import pytest

TOKENS = Path(__file__).parents[1] / "static" / "css" / "tokens.css"
COLOURS = {
    name: {"light": light, "dark": dark}
    for name, light, dark in re.findall(
        r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);", TOKENS.read_text()
    )
}
SIGNALS = ("ok", "info", "warn", "late", "danger", "sign", "calm")
GROUNDS = ("surface", "paper", "raised", "zebra", "hover")

TEXT = [
    *[(ink, ground) for ink in ("ink", "ink-soft", "link") for ground in (*GROUNDS, "sunken")],
    *[(ink, "brand-soft") for ink in ("ink", "ink-soft", "link")],
    *[(name, ground) for name in SIGNALS for ground in (f"{name}-soft", *GROUNDS)],
    *[("ink", f"{name}-soft") for name in SIGNALS],
    *[("ink-soft", f"{name}-soft") for name in ("late", "warn")],
    *[(f"on-grade-{grade}", f"grade-{grade}") for grade in range(1, 6)],
    ("shut", "shut-soft"),
    ("on-brand", "brand"),
    ("on-brand", "brand-hover"),
    ("on-danger", "danger-fill"),
    ("on-bar", "bar"),
    ("on-bar", "bar-hover"),
    ("on-bar-soft", "bar"),
    ("on-bar-soft", "bar-hover"),
    ("bar-accent", "bar"),
]
EDGES = [
    *[("line-strong", ground) for ground in (*GROUNDS, "sunken")],
    *[("brand", ground) for ground in (*GROUNDS, "sunken", "brand-soft")],
    *[("focus", ground) for ground in (*GROUNDS, "sunken", "brand-soft")],
    *[(f"{name}-edge", ground) for name in SIGNALS for ground in ("surface", "paper", "raised")],
    *[(f"site-{number}", ground) for number in range(8) for ground in ("surface", "hover")],
]


def luminance(colour: str) -> float:
    def linear(part: float) -> float:
        return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(int(colour[at : at + 2], 16) / 255) for at in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_the_formula_gives_the_values_of_the_standard():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=0.001)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("needed", "pairs"), [(4.5, TEXT), (3.0, EDGES)], ids=["text", "edges"])
def test_every_pair_of_colours_has_enough_contrast(theme, needed, pairs):
    weak = {
        f"{front} on {ground}": round(ratio, 2)
        for front, ground in pairs
        if (ratio := contrast(COLOURS[front][theme], COLOURS[ground][theme])) < needed
    }
    assert weak == {}
