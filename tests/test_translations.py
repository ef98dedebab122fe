"""Korean first, English equal: whatever the code says has a Korean text, and no page mixes them.

After adding a sentence run `make messages`, then translate what it says is left.
"""

from __future__ import annotations

import ast
import gettext
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import Client, override_settings

from sites.models import User
from tests.test_routes import OURS, fill, made_at

ROOT = Path(__file__).resolve().parent.parent
CATALOGUE = ROOT / "registry" / "locale" / "ko" / "LC_MESSAGES" / "django.po"
PACKAGES = ("sites", "registry", "crf", "safety", "exports")
# The style guide is Korean on purpose: it shows what the parts look like.
SHOWCASE = "styleguide"
CALLS = {"_", "gettext", "gettext_lazy", "ngettext", "ngettext_lazy", "pgettext", "pgettext_lazy"}
HANGUL = re.compile(r"[ㄱ-ㅎㅏ-ㅣ가-힣]")
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%[sd]|\{\w*\}")
DATES = "년월일"  # in patterns that read dates as people write them
# Korean in code that is nobody's sentence: what is simulated, and who plays in it.
INVENTED = ("registry/simulation/", "registry/management/commands/demo.py")


def compiled(po: Path, mo: Path, *options: str) -> dict[str, str]:
    """What a catalogue says: context and msgid → text. Fuzzy and empty entries are not in it."""
    done = subprocess.run(["msgfmt", *options, "-o", mo, po], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    with mo.open("rb") as file:
        found: dict[str | tuple[str, int], str] = vars(gettext.GNUTranslations(file))["_catalog"]
    return {key[0] if isinstance(key, tuple) else key: text for key, text in found.items() if key}


@pytest.fixture(scope="module")
def korean(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return compiled(CATALOGUE, tmp_path_factory.mktemp("korean") / "django.mo", "--check")


@pytest.fixture(scope="module")
def english(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Every string of today's code, extracted from a copy, so that nobody's files change."""
    copy = tmp_path_factory.mktemp("code")
    only = shutil.ignore_patterns("locale", "__pycache__", "*.csv", "*.json", "*.yaml", "*.sql")
    for folder in (*PACKAGES, "templates"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=only)
    target = copy / "locale" / "ko" / "LC_MESSAGES"
    target.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch, override_settings(LOCALE_PATHS=[copy / "locale"]):
        patch.chdir(copy)
        options = {"no_location": True, "ignore_patterns": [f"{SHOWCASE}*", "locale"]}
        call_command("makemessages", locale=["ko"], verbosity=0, **options)
    filled = target / "english.po"
    subprocess.run(["msgen", "-o", filled, target / "django.po"], check=True)
    return compiled(filled, target / "english.mo")


def test_every_string_of_the_code_has_a_korean_text_and_no_other_has(
    english: dict[str, str], korean: dict[str, str]
) -> None:
    assert len(english) > 500
    assert sorted(english.keys() - korean.keys()) == [], "translate these (`make messages`)"
    assert sorted(korean.keys() - english.keys()) == [], "`make messages` takes these out"


def test_placeholders_are_the_same_in_both_languages(
    english: dict[str, str], korean: dict[str, str]
) -> None:
    differ = [
        text
        for text in english.keys() & korean.keys()
        if set(PLACEHOLDER.findall(text)) != set(PLACEHOLDER.findall(korean[text]))
    ]
    assert differ == []


# What the extraction would not see ----------------------------------------------------------------


@cache
def trees() -> dict[str, ast.Module]:
    files = (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))
    return {
        str(path.relative_to(ROOT)): ast.parse(path.read_text())
        for path in files
        if "migrations" not in path.parts and path.stem != SHOWCASE
    }


def test_every_call_for_a_translation_finds_its_string(korean: dict[str, str]) -> None:
    """Also inside f-strings, and under another name, where xgettext finds nothing."""
    known = {text.rpartition("\4")[2] for text in korean}
    for name, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "django.utils.translation":
                renamed = {each.asname for each in node.names if "gettext" in each.name}
                assert renamed <= {None, "_"}, f"{name}: xgettext knows no {renamed}"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                if node.func.id not in CALLS:
                    continue
                first = node.args[1 if node.func.id.startswith("pgettext") else 0]
                if isinstance(first, ast.Constant):
                    assert first.value in known, f"{name}:{node.lineno}"


def texts(tree: ast.Module) -> Iterator[tuple[ast.AST, str, set[str]]]:
    """Each string that is no docstring, and the strings that stand beside it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr | ast.keyword | ast.JoinedStr):
            continue
        parts = ast.iter_child_nodes(node)
        parts = [part.value if isinstance(part, ast.keyword) else part for part in parts]
        said = {part: text for part in parts if (text := written(part)) is not None}
        for part, text in said.items():
            yield part, text, set(said.values()) - {text}


def written(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(written(part) or "" for part in node.values)
    return None


def test_korean_in_the_code_stands_beside_its_english() -> None:
    """Labels that a dataset carries are in both languages; nothing else is Korean in the code."""
    alone = [
        f"{name}:{node.lineno} {text!r}"
        for name, tree in trees().items()
        if not name.startswith(INVENTED)
        for node, text, beside in texts(tree)
        if not set(HANGUL.findall(text)) <= set(DATES)
        and not re.search(r"[a-z]{2,} [a-z]{2,} [a-z]{2,}", text)  # both languages in one text
        and not any(re.search(r"[A-Za-z]{2}", other) for other in beside)
    ]
    assert alone == []


def test_templates_and_scripts_are_written_in_english() -> None:
    for path in sorted((ROOT / "templates").rglob("*.*")):
        if not path.stem.startswith(SHOWCASE):
            text = path.read_text().replace("한국어", "")  # what the language itself is called
            assert not HANGUL.search(text), path.name
    for path in sorted((ROOT / "static").glob("*.js")):
        found = set(HANGUL.findall(path.read_text()))
        assert found <= set(DATES), path.name


# What the pages show ------------------------------------------------------------------------------


class Shown(HTMLParser):
    """What a page says in its own language: texts, and attributes that are read out."""

    READ_OUT = {"aria-label", "title", "placeholder", "alt", "data-label"}
    SILENT = {"script", "style", "code", "textarea"}
    EMPTY = {"input", "br", "hr", "img", "link", "meta", "use"}

    def __init__(self, language: str) -> None:
        super().__init__()
        self.language, self.stack, self.said = language, list[tuple[str, bool]](), list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        foreign = (found.get("lang") or self.language) != self.language
        silent = (self.stack[-1][1] if self.stack else False) or foreign or tag in self.SILENT
        if not silent:
            self.said += [text for name, text in attrs if name in self.READ_OUT and text]
        if tag not in self.EMPTY:
            self.stack.append((tag, silent))

    def handle_endtag(self, tag: str) -> None:
        while self.stack and self.stack.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if data.strip() and not (self.stack and self.stack[-1][1]):
            self.said.append(" ".join(data.split()))


def said_to(user: User, language: str, objects: dict[str, object]) -> dict[str, list[str]]:
    """Every page that this person may read → what it says."""
    browser = Client()
    browser.force_login(user)
    browser.cookies[settings.LANGUAGE_COOKIE_NAME] = language
    pages = {}
    for name, (path, _view) in OURS.items():
        if path.startswith("api/"):
            continue
        answer = browser.get(fill(path, objects))
        if answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/html"):
            shown = Shown(language)
            shown.feed(answer.content.decode())
            pages[name] = shown.said
    return pages


@pytest.fixture
def objects(coordinator, jss):
    found = made_at(jss, coordinator)
    named = {"forms": "deviation", "history": "pain", "codes": "kcd"}
    return {"datasets": found["releases"], **named, **found}


@cache
def invented() -> list[str]:
    """What the tests write into the database, and names of keys and languages; longest first."""
    found = {"한국어", "English", "Backspace:"}
    for name in ("cast", "story", "samples", "test_routes"):
        for node in ast.walk(ast.parse((ROOT / "tests" / f"{name}.py").read_text())):
            text = written(node)
            if text and (HANGUL.search(text) or " " in text):
                found.add(text)
    return sorted(found, key=len, reverse=True)


def ours(said: list[str]) -> Iterator[str]:
    """What a page says, without what the tests wrote."""
    for text in said:
        for known in invented():
            text = text.replace(known, "")
        yield text


READERS = ("investigator", "datamanager", "admin", "auditor")  # together, of every page


@pytest.mark.parametrize("username", READERS)
def test_an_english_page_holds_no_korean_but_data(username, objects) -> None:
    pages = said_to(User.objects.get(username=username), "en", objects)
    assert len(pages) > 8
    mixed = [
        (name, text) for name, said in pages.items() for text in ours(said) if HANGUL.search(text)
    ]
    assert not mixed, "\n".join(map(str, mixed))


@pytest.mark.parametrize("username", READERS)
def test_a_korean_page_shows_no_english_words_of_ours(username, objects, korean) -> None:
    words = {text.rpartition("\4")[2] for text, said in korean.items() if text != said}
    pages = said_to(User.objects.get(username=username), "ko", objects)
    assert len(pages) > 8
    mixed = [
        (name, text)
        for name, said in pages.items()
        for text in ours(said)
        if text in words or re.search(r"\b[A-Z][a-z]+( [a-z]+)*:|[a-z]{2,} [a-z]{2,}", text)
    ]
    assert not mixed, "\n".join(map(str, mixed))
