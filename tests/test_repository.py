"""The files that set the registry up agree: laptop, image, compose, documents and code."""

import ast
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from registry import serve, stack

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
PIN = re.compile(
    r"^([a-z0-9-]+)==([^\s;]+)[^\n]*(?:\n +--hash=sha256:[0-9a-f]{64}[ \\]*)+", re.MULTILINE
)


def tracked() -> list[str]:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.split("\n")[:-1]


def pinned(file: str) -> dict[str, str]:
    return dict(PIN.findall((ROOT / file).read_text()))


def named(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=]", one)[0].strip() for one in requirements}


# Requirements


def test_everything_named_is_pinned_with_hashes_and_the_image_gets_no_tools() -> None:
    image, laptop = pinned("requirements.txt"), pinned("requirements-dev.txt")
    groups = PROJECT["dependency-groups"]
    tools = set[str]().union(*(named(groups[group]) for group in groups)) - {"pyyaml"}
    assert named(PROJECT["project"]["dependencies"]) <= image.keys()
    assert tools <= laptop.keys()
    assert not tools & image.keys()
    assert image.items() <= laptop.items()


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-dev.txt"])
def test_requirements_hold_no_line_without_a_hash_and_no_address(file: str) -> None:
    text = (ROOT / file).read_text()
    assert len(re.findall(r"(?m)^[a-z]", text)) == len(pinned(file))
    assert not re.search(r"(?m)^-|://|@ |/simple", text)


def test_each_dependency_says_why() -> None:
    lists = [PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"].values()]
    text = (ROOT / "pyproject.toml").read_text()
    unexplained = [
        requirement
        for requirement in [one for several in lists for one in several]
        if not re.search(rf'(?m)^    "{re.escape(requirement)}", +# \S', text)
    ]
    assert unexplained == []


# The same versions and commands everywhere


def test_compose_and_the_embedded_server_run_the_same_postgresql() -> None:
    embedded = subprocess.run(
        [str(stack.binaries_of_wheel() / "postgres"), "--version"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    major = re.search(r"\) (\d+)", embedded)
    assert major
    assert COMPOSE["services"]["db"]["image"].startswith(f"postgres:{major[1]}.")
    command = COMPOSE["services"]["db"]["command"]
    chosen = dict(setting.split("=") for setting in command[2::2])
    assert chosen == stack.POSTGRES_SETTINGS
    assert COMPOSE["services"]["db"]["environment"]["POSTGRES_INITDB_ARGS"].split() == [
        *stack.INITDB
    ]


def test_compose_runs_the_commands_of_make_run() -> None:
    services = COMPOSE["services"]
    worker, beat = services["worker"]["command"], services["beat"]["command"]
    after_celery = len(serve.CELERY) - 3  # --app registry --quiet
    assert worker[1:] == list(serve.COMMANDS["worker"])[after_celery:]
    assert beat[1:-1] == list(serve.COMMANDS["beat"])[after_celery:]
    web = [word for word in serve.COMMANDS["web"][2:] if word != "-m"]
    command = ast.literal_eval(re.findall(r"CMD (\[.*\])", DOCKERFILE)[0])
    assert [word for word in command if word not in {"--bind", "0.0.0.0:8000"}] == web


def test_one_python_everywhere() -> None:
    assert "FROM python:3.11-" in DOCKERFILE
    assert "python3.11" in MAKEFILE
    assert "--python-version 3.11" in MAKEFILE
    assert PROJECT["project"]["requires-python"] == ">=3.11"
    assert PROJECT["tool"]["mypy"]["python_version"] == "3.11"
    assert PROJECT["tool"]["ruff"]["target-version"] == "py311"


def test_laptop_and_image_install_the_same_system_packages() -> None:
    assert "COPY .ci/packages.txt" in DOCKERFILE
    assert "packages.txt" in (ROOT / ".ci" / "packages").read_text()


def test_the_image_holds_all_of_our_code_and_none_of_the_embedded_servers() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split("\n")
    copied = set(re.findall(r"(?m)^COPY (\S+)", DOCKERFILE))
    for part in ("manage.py", "registry", "sites", "crf", "safety", "exports", "templates"):
        assert part in copied
        assert f"!{part}" in ignored
    assert {"registry/stack.py", "registry/serve.py"} <= set(ignored)


# Secrets


def test_every_secret_of_compose_is_made_by_the_script_and_no_service_knows_too_many(
    tmp_path: Path,
) -> None:
    (tmp_path / "docs" / "ops").mkdir(parents=True)
    script = shutil.copy(ROOT / "docs" / "ops" / "secrets", tmp_path / "docs" / "ops")
    for _ in range(2):
        subprocess.run([script], check=True, capture_output=True)
    made = {file.name: file.read_text() for file in (tmp_path / ".secrets").iterdir()}
    assert made.keys() == COMPOSE["secrets"].keys()
    assert len(made["secret_key"]) >= 50
    assert made["app_password"] in made["database_url"]
    assert len(set(made.values())) == len(made)
    for name, service in COMPOSE["services"].items():
        known = set(service.get("secrets", []))
        assert "owner_database_url" not in known or name == "up"
        assert "superuser_password" not in known or name == "db"
    assert "secrets" not in COMPOSE["services"]["proxy"]


def test_only_the_proxy_is_reached_from_outside() -> None:
    open_to_all = {name for name, one in COMPOSE["services"].items() if "ports" in one}
    assert open_to_all == {"proxy"}
    assert COMPOSE["networks"]["back"] == {"internal": True}
    for name in ("db", "redis"):
        assert COMPOSE["services"][name]["networks"] == ["back"]


# Settings, commands, files


def read_by(file: str) -> set[str]:
    """The settings that a file asks registry.environment for."""
    found = set()
    for call in ast.walk(ast.parse((ROOT / file).read_text())):
        if (
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and isinstance(call.func.value, ast.Name)
            and call.func.value.id in {"env", "environment"}
            and call.func.attr != "wrong"
            and isinstance(call.args[0], ast.Constant)
        ):
            found.add(call.args[0].value)
    return found


def test_all_settings_are_documented_and_nothing_else_is() -> None:
    sources = ("settings", "gunicorn", "management/commands/up")
    read = set[str]().union(*(read_by(f"registry/{source}.py") for source in sources))
    documented = re.findall(r"(?m)^\| `([A-Z_]+)`", (ROOT / "docs" / "settings.md").read_text())
    assert sorted(documented) == sorted(read)
    for service in COMPOSE["services"].values():
        if service.get("image") == "registry-edc":
            used = {name.removesuffix("_FILE") for name in service["environment"]}
            assert used <= read


def test_the_words_that_people_type_exist() -> None:
    for target in ("run", "test", "bench", "lint", "requirements"):
        assert re.search(rf"(?m)^{target}:.*## ", MAKEFILE), target
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_the_top_level_stays_as_it_is() -> None:
    folders = {"registry", "sites", "crf", "safety", "exports", "templates", "static", "tests"}
    files = {"manage.py", "docker-compose.yml", "pyproject.toml", "README.md", "Makefile"}
    beside = {"Dockerfile", "requirements.txt", "requirements-dev.txt", "docs", "benchmarks"}
    top = {name.split("/")[0] for name in tracked()}
    assert {name for name in top - folders - files - beside if not name.startswith(".")} == set()


def test_no_file_names_an_index_or_a_place_on_somebodys_machine() -> None:
    wanted = re.compile(r"index-url|find-links|(?<![\w.])/(?:work|farm|home|root|Users)/")
    allowed = {"Makefile", "tests/test_repository.py"}
    found = [
        name
        for name in tracked()
        if name not in allowed
        and Path(name).suffix not in {".png", ".svg", ".xlsx"}
        and (ROOT / name).is_file()
        and wanted.search((ROOT / name).read_text(errors="ignore"))
    ]
    assert found == []
