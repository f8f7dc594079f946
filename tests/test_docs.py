"""The pages are true: what they show exists, what exists is shown, and the example runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import lru_cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import click
import pytest
from support.command_result import Dl, ok
from support.project import make_project
from support.small_run import SMALL

from dlcli.catalog import OWN_FOLDER, broken_files, built_in_names, recipe_class
from dlcli.keys import all_keys
from dlcli.settings.fields import settings_of
from dlcli.version import __version__

ROOT = Path(__file__).parent.parent
README, CHANGELOG, DOCS = ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "docs"
PAGES = [README, CHANGELOG, *sorted(DOCS.rglob("*.md"))]
# A page writes a recipe of its own, with an option that no other has.
EXAMPLE, EXAMPLE_FLAG = "hidden-layer", "--units"
EXAMPLE_PAGE = DOCS / "adding-a-recipe.md"
MOST_BYTES = 400_000

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def generator() -> ModuleType:
    spec = spec_from_file_location("docs.generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@lru_cache
def commands() -> dict[str, click.Context]:
    """Every command by what one types: "dl data split"."""
    return {ctx.command_path: ctx for ctx in generator().walk()}


def flags_of(ctx: click.Context) -> set[str]:
    params = ctx.command.get_params(ctx)
    return {flag for param in params for flag in (*param.opts, *param.secondary_opts)}


def blocks(text: str) -> list[tuple[str, str]]:
    """The fenced blocks of a page: language, content."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def prose(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def code(text: str) -> Iterator[str]:
    """What a page shows as typed: lines of its blocks, code within sentences and output."""
    for language, block in blocks(text):
        lines = block.splitlines()
        typed = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        if language != "python":
            yield from typed or lines
        yield from re.findall(r"`([^`]+)`", block)
    yield from (span.replace("\n", " ") for span in re.findall(r"`([^`]+)`", prose(text)))


def typed_commands(page: Path) -> Iterator[list[str]]:
    """The words of every `dl ...` that a page shows, options included."""
    for span in code(page.read_text()):
        for part in re.split(r"[;#>&]|  | \| ", span):
            words = re.sub(r"[][{}^]|\b[A-Z_]+=\S+", " ", part).split()
            if words[:1] == ["dl"] and EXAMPLE not in words:
                yield words


def resolve(words: list[str]) -> click.Context | None:
    """The command that some words name; None where the rest is left open, as in `dl COMMAND`."""
    path = words[0]
    for word in words[1:]:
        if not isinstance(commands()[path].command, click.Group) or word.startswith("-"):
            break
        if word.isupper() or word == "...":
            return None
        path = f"{path} {word}"
        assert path in commands(), f"there is no `{path}`"
    return commands()[path]


@pytest.mark.parametrize("name", generator().pages())
def test_generated_pages_say_what_the_code_says_now(name: str) -> None:
    made = generator().pages()[name]
    assert (DOCS / name).read_text() == made, "run `make docs`"


@every_page
def test_every_command_and_flag_that_a_page_shows_exists(page: Path) -> None:
    for words in typed_commands(page):
        ctx = resolve(words)
        known = flags_of(ctx) if ctx else {"--help"}.union(*map(flags_of, commands().values()))
        flags = {re.split("[=,)]", word)[0] for word in words if word.startswith("-")}
        assert flags - {"-", "--"} <= known, " ".join(words)


@every_page
def test_every_flag_that_stands_alone_belongs_to_a_command(page: Path) -> None:
    known = set().union(*map(flags_of, commands().values()))
    spans = [span for span in code(page.read_text()) if span.startswith("--")]
    shown = {flag for span in spans for flag in re.findall(r"(?<!\S)--[a-z][a-z0-9-]*", span)}
    assert shown - ({EXAMPLE_FLAG} if page == EXAMPLE_PAGE else set()) <= known


def test_pages_written_by_hand_show_every_command() -> None:
    generated = {DOCS / "commands.md", DOCS / "recipes.md"}
    shown = set()
    for page in set(PAGES) - generated - {CHANGELOG}:
        for words in typed_commands(page):
            ctx = resolve(words)
            while ctx is not None:
                shown.add(ctx.command_path)
                ctx = ctx.parent
    # a page that shows how a recipe is trained need not show its rate being found as well
    found = {path for path in commands() if path.startswith("dl lr-find ")}
    assert set(commands()) - found - shown == set()


@pytest.mark.parametrize("path", commands())
def test_every_command_and_option_has_help(path: str) -> None:
    ctx = commands()[path]
    assert (ctx.command.help or "").strip()
    for param in ctx.command.get_params(ctx):
        if isinstance(param, click.Option):
            assert (param.help or "").strip(), param.opts


@every_page
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        goal = (page.parent / name).resolve() if name else page
        assert goal.exists(), target
        if anchor:
            assert anchor in anchors(goal), target


@every_page
def test_every_file_of_the_code_that_a_page_names_is_there(page: Path) -> None:
    named = re.findall(r"`((?:dlcli|tests|bench)/[\w/.-]+)`", prose(page.read_text()))
    written = set(written_files()) if page == EXAMPLE_PAGE else set()
    assert [each for each in named if each not in written and not (ROOT / each).exists()] == []


def anchors(page: Path) -> set[str]:
    """What GitHub calls a page's headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


def test_the_index_leads_to_every_page() -> None:
    linked = re.findall(r"\]\(([^)#\s]+)", (DOCS / "README.md").read_text())
    pages = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")} - {"README.md"}
    assert pages <= set(linked)


def test_every_rule_of_trust_names_a_test_that_there_is() -> None:
    rows = [
        line
        for line in (DOCS / "security.md").read_text().splitlines()
        if line.startswith("|") and not line.startswith(("| what ", "| ---"))
    ]
    for row in rows:
        named = re.findall(r"`(tests/[\w/.]+\.py)::(\w+)`", row)
        assert named, row
        for file, test in named:
            assert re.search(rf"^def {test}\(", (ROOT / file).read_text(), re.MULTILINE), test


def test_every_setting_is_explained() -> None:
    text = (DOCS / "config.md").read_text()
    shared = [key for key in all_keys() if not key.startswith("train.")]
    assert [key for key in shared if f"`{key}`" not in text] == []


@pytest.mark.parametrize("name", built_in_names())
def test_every_recipe_is_explained_with_its_hyperparameters(name: str) -> None:
    _, _, section = (DOCS / "recipes.md").read_text().partition(f"\n## {name}\n")
    section = section.partition("\n## ")[0]
    flags = ["--" + field.replace("_", "-") for field in settings_of(recipe_class(name))]
    assert [flag for flag in flags if f"`{flag} " not in section] == []


def test_the_version_is_in_the_changelog() -> None:
    assert f"\n## {__version__}\n" in CHANGELOG.read_text()


@every_page
def test_a_page_speaks_of_the_project_alone(page: Path) -> None:
    text = page.read_text()
    assert re.findall(r"(?<![\w.~])/(?:work|tmp|root|home)\b", text) == []
    assert re.findall(r"(?<![\w&(])#\d+\b", text) == []


@pytest.mark.parametrize("picture", sorted((DOCS / "images").iterdir()), ids=lambda path: path.name)
def test_pictures_are_small(picture: Path) -> None:
    assert picture.stat().st_size < MOST_BYTES


def written_files() -> dict[str, str]:
    """The files that the page of the example writes: name, text."""
    page = EXAMPLE_PAGE.read_text()
    found = re.findall(r"`([\w/]+\.py)`:\n\n```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return dict(found)


def test_the_recipe_that_a_page_writes_works_in_a_project(
    dl: Dl, home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, *_ = written_files()
    assert name == f"{OWN_FOLDER}/hidden_layer.py"
    project = make_project(home / "project", hidden_layer=written_files()[name])
    monkeypatch.chdir(project)
    assert broken_files() == {}
    shown = re.findall(rf"^\$ dl (.*{EXAMPLE}.*)$", EXAMPLE_PAGE.read_text(), re.MULTILINE)
    train = f"train {EXAMPLE} {EXAMPLE_FLAG} 64"
    assert train in shown
    for words in shown:
        small = ["-d", "tiny", "--schedule", "1e-3", *SMALL] if words == train else []
        ok(dl(*words.split(), *small))
    (run,) = (home / "runs" / "tiny").iterdir()
    assert run.name.endswith("-hidden-layer-e1-lr0.001-u64-b4")


def test_the_recipe_that_a_page_writes_is_a_built_in_one_and_passes_its_test(
    tmp_path: Path,
) -> None:
    """In a copy of the package, as somebody who follows the page would have it."""
    files = written_files()
    assert "`dlcli/recipes/`" in EXAMPLE_PAGE.read_text()
    files = {name if "test" in name else f"dlcli/{name}": text for name, text in files.items()}
    assert list(files) == ["dlcli/recipes/hidden_layer.py", "tests/recipes/test_hidden_layer.py"]
    shutil.copytree(ROOT / "dlcli", tmp_path / "dlcli")
    shutil.copytree(ROOT / "tests" / "support", tmp_path / "tests" / "support")
    for name in ("conftest.py", "test_recipe.py"):
        shutil.copy(ROOT / "tests" / name, tmp_path / "tests")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environ["DL_TEST_CACHE"] = environ["XDG_CACHE_HOME"]  # with the exported network
    passed = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests"],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
    )
    assert passed.returncode == 0, passed.stdout + passed.stderr
    lint = [sys.executable, "-m", "ruff", "check", "--no-cache", *files]
    linted = subprocess.run(lint, cwd=tmp_path, capture_output=True, text=True)
    assert linted.returncode == 0, linted.stdout
