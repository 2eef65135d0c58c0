"""What the docs say is so: numbers, links, commands, fields."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import importlib.util
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import firstread.errors
from firstread.cli import main as cli
from firstread.cli.data import SUB_VERBS
from firstread.cohort.columns import MISSING
from firstread.cohort.headers import KNOWN
from firstread.evaluate.masks import COLUMN
from firstread.read.opinion import Opinion
from firstread.train.recipe import Recipe
from firstread.train.strengths import Augment

ROOT = Path(__file__).parents[1]
DOCS = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "MODEL_CARD.md"]
DOCS += sorted((ROOT / "docs").glob("*.md"))
REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")

FENCED = re.compile(r"^```(?P<kind>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
DECIMAL = re.compile(r"\b0\.\d{2,}|\b\d+\.\d+ %")


def load_numbers() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "fill_numbers", ROOT / "scripts" / "fill_numbers.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


numbers = load_numbers()


def prose(text: str) -> str:
    """A page without its blocks of code."""
    return FENCED.sub("", text)


# Numbers


def test_every_number_in_the_docs_is_that_of_its_json() -> None:
    assert [f"{p.relative_to(ROOT)}: {why}" for p, why in numbers.problems(ROOT)] == []


@pytest.mark.parametrize("name", ["README.md", "MODEL_CARD.md", "docs/results.md"])
def test_no_measured_number_is_typed_by_hand(name: str) -> None:
    text = prose((ROOT / name).read_text(encoding="utf-8"))
    bare = INLINE.sub("", re.sub(r"\(https?://[^)]*\)", "", numbers.MARKER.sub("", text)))
    assert DECIMAL.findall(bare) == []


def test_published_results_hold_no_path_of_a_machine() -> None:
    folders = (ROOT / "docs" / "results", ROOT / "benchmarks" / "results")
    for path in (p for folder in folders for p in folder.glob("*.json")):
        for text in texts(json.loads(path.read_text(encoding="utf-8"))):
            assert not re.search(r"(?:^|[\s='\"])/[a-z]\w*/", text), f"{path.name}: {text[:80]}"


def texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for entry in value.values():
            yield from texts(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from texts(entry)


# Links


@pytest.mark.parametrize("page", DOCS, ids=lambda p: p.name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(prose(page.read_text(encoding="utf-8"))):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        if anchor:
            headings = HEADING.findall(prose(target.read_text(encoding="utf-8")))
            assert anchor in {slug(h) for h in headings}, link


def slug(heading: str) -> str:
    """What GitHub makes of a heading for its anchor."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


# Commands


def commands() -> list[tuple[str, str]]:
    """(page, command) for each `firstread ...` line in a block of code."""
    found = []
    for page in [*DOCS, ROOT / "benchmarks" / "README.md"]:
        for block in FENCED.finditer(page.read_text(encoding="utf-8")):
            for line in block["code"].replace("\\\n", " ").splitlines():
                at = re.match(r"(?:\$ )?(?:\.venv/bin/)?(firstread .*)", line)
                if at and block["kind"] in {"", "sh", "bash", "console"}:
                    found.append((page.name, at[1]))
    return found


STANDS_FOR = dict.fromkeys(("N", "PX", "YEARS"), "64") | {
    "AET@HOST:PORT": "ORTHANC@127.0.0.1:4242",
    "S": "0.9",
    "P": "0.1",
    "W": "0.1",
}
"""What a synopsis leaves to the reader, where argparse does not take the word itself."""


def concrete(command: str) -> list[str]:
    """A command as argparse gets it, up to a pipe; of a synopsis, with all that is optional."""
    words = shlex.split(command.replace("[", " ").replace("]", " "), comments=True)
    if "|" in words:
        words = words[: words.index("|")]
    words = [w.split("|")[0] for w in words if w != "..."]
    return [STANDS_FOR.get(w, w) for w in words[1:]]


@pytest.mark.parametrize(("page", "command"), commands())
def test_commands_in_the_docs_parse(page: str, command: str) -> None:
    words = concrete(command)
    assert words[0] in dict(cli.VERBS)
    cli._parser(words[0]).parse_args(words)


@pytest.mark.parametrize("page", DOCS, ids=lambda p: p.name)
def test_an_extra_is_installed_into_the_checkout_with_our_pins(page: Path) -> None:
    """Without `-e` pip puts a copy in the place of the checkout that `make demo` installed."""
    for words in re.findall(r"pip install ([^`&\n]*'?\.\[.*)", page.read_text(encoding="utf-8")):
        assert {"-e", "-c"} <= set(words.split()), words


def test_verbs_named_in_the_text_exist() -> None:
    for page in DOCS:
        for code in INLINE.findall(prose(page.read_text(encoding="utf-8"))):
            words = code.split()
            if words[0] == "firstread" and len(words) > 1 and words[1].isalpha():
                verb = words[1]
                if verb == "VERB":
                    continue
                assert verb in dict(cli.VERBS), code
                known = set(options(verb, words[2] if verb == "data" and len(words) > 2 else ""))
                assert {w for w in words if w.startswith("--")} <= known | {"--help"}, code


def options(verb: str, sub: str = "") -> list[str]:
    """The long options of a verb."""
    parser = argparse.ArgumentParser(add_help=False)
    name = f"data_{sub}" if sub else verb
    importlib.import_module(f"firstread.cli.{name}").add_arguments(parser)
    return [o for action in parser._actions for o in action.option_strings if o != "-h"]


VERBS = [(v, "") for v, _ in cli.VERBS if v != "data"] + [("data", s) for s in SUB_VERBS]


@pytest.mark.parametrize(("verb", "sub"), VERBS)
def test_the_reference_names_every_option(verb: str, sub: str) -> None:
    title = f"### `firstread {verb}{' ' + sub if sub else ''}`\n"
    section = REFERENCE.split(title)[1].split("\n### ")[0].split("\n## ")[0]
    assert [o for o in options(verb, sub) if f"`{o}`" not in section] == []


# Fields


def section(title: str) -> str:
    return REFERENCE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_the_reference_names_every_recipe_key_and_its_default() -> None:
    text = section("Recipes")
    for kind in (Recipe, Augment):
        for field in dataclasses.fields(kind):
            default = getattr(kind(), field.name)
            if field.name != "augment":
                shown = json.dumps(list(default) if isinstance(default, tuple) else default)
                assert f"| `{field.name}` | `{shown}` |" in text


def test_the_reference_names_every_field_of_an_opinion() -> None:
    fields = Opinion("", None, None, 0.5, "rejected").to_json()
    assert [f for f in fields if f"| `{f}` |" not in section("Opinions")] == []


def test_the_reference_names_every_field_of_an_evaluation() -> None:
    import firstread.evaluate.result as result

    listed = (result.__doc__ or "").split("The fields::")[1]
    # Field names begin a line at four spaces and end at two or more spaces.
    heads = re.findall(r"^    (\w[\w ]*?)(?:  |$)", listed, re.MULTILINE)
    names = {name for head in heads for name in head.split()}
    assert {"accuracy", "n_refer", "shortcuts", "films"} <= names
    assert sorted(n for n in names if f"`{n}`" not in section("Evaluation")) == []


def test_the_reference_names_every_field_of_an_onboarding() -> None:
    import firstread.clinic.onboard as onboard

    listed = (onboard.__doc__ or "").split("The fields::")[1]
    heads = re.findall(r"^    (\w[\w ]*?)(?:  |$)", listed, re.MULTILINE)
    names = {name for head in heads for name in head.split()}
    assert {"need", "withheld", "local", "drift"} <= names
    assert sorted(n for n in names if f"`{n}`" not in section("Onboarding")) == []


def test_the_reference_names_every_column_of_a_table_of_films() -> None:
    text = section("Table of films")
    assert [name for name in sorted(KNOWN | {COLUMN}) if f"`{name}`" not in text] == []
    assert [word for word in sorted(MISSING - {"", "#n/a"}) if word not in text.lower()] == []


def test_the_reference_names_every_variable_of_the_environment() -> None:
    code = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "src").rglob("*.py"))
    read = set(re.findall(r"FIRSTREAD_[A-Z]+", code))
    assert [name for name in sorted(read) if f"`{name}`" not in section("Environment")] == []


def test_the_reference_names_every_error() -> None:
    named = {
        name
        for name, kind in vars(firstread.errors).items()
        if isinstance(kind, type) and issubclass(kind, firstread.errors.FirstreadError)
    }
    assert [n for n in sorted(named) if f"`{n}`" not in section("Errors")] == []


def test_architecture_gives_every_dependency_its_reason() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["train"]]
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    names = [re.split(r"[<>=\[]", w)[0] for w in wanted]
    assert [n for n in names if f"| {n} |" not in text] == []
