"""From YAML files to a checked `Definition`, or to a list of problems, each with file, line and a
sentence.

A study is a folder with `protocol.yaml`; the instruments that it names are looked for in the
study's own folder first and then among the shared ones. Only the YAML that authors mean is read:
`yes`, `no` and dates stay the text that they are (in plain YAML, `no` is false), and a key that
stands twice is an error, not the last one wins.
"""

import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from crf.instrument.checking import Finding, Where, check
from crf.instrument.definition import Definition
from crf.instrument.items import Instrument
from registry.protocol import Protocol

SHARED = Path(__file__).parent.parent / "instruments"
ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True, order=True)
class Problem:
    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


class Broken(Exception):
    """The definition can't be published."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def load(folder: Path) -> Definition:
    """The definition of the study in a folder; raises `Broken` with every problem that could be
    found.
    """
    source = _read(folder / "protocol.yaml")
    protocol = _protocol(source)
    sources: dict[str, _Source] = {"": source}
    instruments: dict[str, Instrument] = {}
    problems: list[Problem] = []
    for code in protocol.instruments:
        try:
            sources[code], instruments[code] = _instrument(folder, code, protocol, source)
        except Broken as broken:
            problems += broken.problems
    if problems:
        raise Broken(sorted(problems))
    definition = Definition(protocol=protocol, instruments=instruments)
    found = [sources[finding.instrument].problem(finding) for finding in check(definition)]
    if found:
        raise Broken(sorted(set(found)))
    return definition


@dataclass(frozen=True)
class _Source:
    path: Path
    node: yaml.Node
    data: Any

    def line(self, where: Where) -> int:
        """The line of the deepest node on the way: of the key, or of a list's entry."""
        node, line = self.node, _line(self.node)
        for step in where:
            if isinstance(node, yaml.MappingNode):
                pair = next((pair for pair in node.value if pair[0].value == step), None)
                if pair is not None:
                    line, node = _line(pair[0]), pair[1]
            elif isinstance(node, yaml.SequenceNode) and step in range(len(node.value)):
                node = node.value[int(step)]
                line = _line(node)
        return line

    def problem(self, finding: Finding) -> Problem:
        return Problem(_shown(self.path), self.line(finding.where), finding.message)


class _Loader(yaml.SafeLoader):
    """Numbers, true, false and null; everything else is text."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"~|null|", ["~", "n", ""]),
    ("bool", r"true|false", ["t", "f"]),
    ("int", r"-?(?:0|[1-9][0-9]*)", list("-0123456789")),
    ("float", r"-?(?:0|[1-9][0-9]*)\.[0-9]+", list("-0123456789")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first
    )


def _read(path: Path) -> _Source:
    if not path.is_file():
        raise Broken([Problem(_shown(path), 1, "There is no such file.")])
    loader = _Loader(path.read_text(encoding="utf-8"))
    try:
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise Broken([Problem(_shown(path), 1, "The file must hold keys and values.")])
        if twice := list(_repeated(node)):
            raise Broken(
                [
                    Problem(_shown(path), _line(key), f"“{key.value}” stands here twice.")
                    for key in twice
                ]
            )
        return _Source(path, node, loader.construct_document(node))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise Broken(
            [Problem(_shown(path), line, f"This is not valid YAML: {error.problem}.")]
        ) from None
    finally:
        loader.dispose()


def _repeated(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    if isinstance(node, yaml.MappingNode):
        seen: set[Hashable] = set()
        for key, value in node.value:
            if key.value in seen:
                yield key
            seen.add(key.value)
            yield from _repeated(value)
    elif isinstance(node, yaml.SequenceNode):
        for each in node.value:
            yield from _repeated(each)


def _shown(path: Path) -> str:
    """The path from the project's folder, as an author would type it."""
    resolved = path.resolve()
    return str(resolved.relative_to(ROOT) if resolved.is_relative_to(ROOT) else path)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _protocol(source: _Source) -> Protocol:
    try:
        return Protocol.model_validate(source.data)
    except ValidationError as error:
        raise Broken(_invalid(source, error)) from None


def _instrument(
    folder: Path, code: str, protocol: Protocol, named_in: _Source
) -> tuple[_Source, Instrument]:
    paths = [parent / f"{code}.yaml" for parent in (folder / "instruments", SHARED)]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        where = next(where for where, named in _named(protocol) if named == code)
        raise Broken([named_in.problem(Finding("", where, f"There is no instrument “{code}”."))])
    source = _read(path)
    _lend_categories(source.data, protocol)
    try:
        instrument = Instrument.model_validate(source.data)
    except ValidationError as error:
        raise Broken(_invalid(source, error)) from None
    if instrument.code != code:
        message = f"The code is “{instrument.code}”, but the file is called {path.name}."
        raise Broken([source.problem(Finding(code, ("code",), message))])
    return source, instrument


def _lend_categories(data: Any, protocol: Protocol) -> None:
    """An item may take its options from the protocol, so that they stand in one place."""
    if isinstance(data, dict):
        if data.get("options") == "deviation_categories":
            data["options"] = [each.model_dump() for each in protocol.deviation_categories]
        for value in data.values():
            _lend_categories(value, protocol)
    elif isinstance(data, list):
        for each in data:
            _lend_categories(each, protocol)


def _named(protocol: Protocol) -> Iterator[tuple[Where, str]]:
    yield ("screening",), protocol.screening
    for v, visit in enumerate(protocol.visits):
        for f, form in enumerate(visit.forms):
            yield ("visits", v, "forms", f, "instrument"), form.instrument
    for f, form in enumerate(protocol.unscheduled or ()):
        yield ("unscheduled", f, "instrument"), form.instrument
    for n, log in enumerate(protocol.logs):
        yield ("logs", n, "instrument"), log.instrument


def _invalid(source: _Source, error: ValidationError) -> list[Problem]:
    problems = []
    for each in error.errors(include_url=False):
        where: Where = tuple(each["loc"])
        name = next((step for step in reversed(where) if isinstance(step, str)), "")
        said = each["msg"].removeprefix("Value error, ")
        match each["type"]:
            case "missing":
                message = f"“{name}” is missing here."
            case "extra_forbidden":
                message = f"“{name}” is not known here."
            case "union_tag_invalid":
                message = f"“{each['ctx']['tag']}” is not a kind of item."
            case "union_tag_not_found":
                message = "The item has no “kind”."
            case "string_pattern_mismatch":
                message = f"“{each['input']}” can't be a code: {each['ctx']['pattern']}."
            case "string_type":
                message = f"“{name}” must be text; put it in quotes."
            case "value_error":
                message = said if said[0].isupper() else f"“{name}” {said}."
            case _:
                message = f"“{name}”: {said}."
        problems.append(source.problem(Finding("", where, message)))
    return sorted(set(problems))
