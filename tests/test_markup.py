"""What the content security policy would block in silence, found in the templates instead."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
ICONS = set(re.findall(r'<symbol id="([^"]+)"', (ROOT / "static" / "icons.svg").read_text()))
BLOCKED = {
    "style attribute": r"<[^>{]*\sstyle\s*=",
    "style element": r"<style\b",
    "inline script": r"<script\b(?![^>]*\bsrc=)(?![^>]*application/json)",
    "event handler": r"<\w[^>{]*\son[a-z]+\s*=",
    "javascript address": r"javascript:",
    "address of another host": r"""(?:src|href|action)=["'](?:https?:)?//""",
}


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_template_keeps_to_the_content_security_policy(path):
    text = path.read_text()
    assert [name for name, pattern in BLOCKED.items() if re.search(pattern, text)] == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_icon_named_in_a_template_exists(path):
    named = re.findall(r"icons\.svg' %\}#([a-z0-9_-]+)\"", path.read_text())
    assert sorted(set(named) - ICONS) == []


def test_stylesheets_load_nothing_and_are_all_linked():
    base = (ROOT / "templates" / "base.html").read_text()
    for path in sorted((ROOT / "static" / "css").glob("*.css")):
        text = path.read_text()
        assert not re.search(r"url\(|@import", text), path.name
        assert f"css/{path.name}" in base, path.name
