"""Which module may import what, read from the source: arrows point one way.

`cli` -> the library -> numpy. Nothing slow at a module's own level, so that `dl --help` answers at
once and a command pays for what it uses.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import dlcli

ROOT = Path(dlcli.__file__).parent
SOURCES = {
    ".".join(["dlcli", *path.relative_to(ROOT).with_suffix("").parts]).removesuffix(
        ".__init__"
    ): ast.parse(path.read_text(), str(path))
    for path in sorted(ROOT.rglob("*.py"))
}
SAYS_NOTHING = {"utils", "util", "helpers", "helper", "common", "base", "misc", "core", "tools"}


@dataclass(frozen=True)
class Import:
    """One import statement's module, and where it stands."""

    importer: str
    imported: str
    line: int
    at_module_level: bool

    def of(self, *packages: str) -> bool:
        """Whether it imports one of some packages, or a part of one."""
        return any(f"{self.imported}.".startswith(f"{package}.") for package in packages)


def imports_of(module: str) -> Iterator[Import]:
    """All imports of a module but those that only a type checker sees."""
    stack: list[tuple[ast.AST, bool]] = [(SOURCES[module], True)]
    while stack:
        node, outside = stack.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            stack += [(child, outside) for child in node.orelse]
            continue
        if isinstance(node, ast.Import):
            for name in node.names:
                yield Import(module, name.name, node.lineno, outside)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relative to itself"
            for name in node.names:
                whole = f"{node.module}.{name.name}"
                imported = whole if whole in SOURCES else str(node.module)
                yield Import(module, imported, node.lineno, outside)
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        stack += [(child, outside and not inside) for child in ast.iter_child_nodes(node)]


IMPORTS = [each for module in SOURCES for each in imports_of(module)]


def importers(*packages: str) -> set[str]:
    """The modules that import one of some packages."""
    return {each.importer for each in IMPORTS if each.of(*packages)}


def below(package: str) -> set[str]:
    """The modules of a package."""
    return {name for name in SOURCES if f"{name}.".startswith(f"dlcli.{package}.")}


def test_the_walk_sees_imports_at_any_depth() -> None:
    assert "dlcli.files.formats" in importers("yaml")
    assert "dlcli.settings.fields" in importers("dlcli.errors")
    assert len(IMPORTS) > 100


def test_only_the_command_line_imports_click() -> None:
    assert importers("click") <= below("cli")


def test_only_progress_imports_rich() -> None:
    assert importers("rich") == {"dlcli.progress"}


def test_only_features_imports_bcolz() -> None:
    assert importers("bcolz") == {"dlcli.features.compute"}


def test_only_one_module_imports_kaggle() -> None:
    assert importers("kaggle") <= {"dlcli.kaggle.account"}


def test_keras_is_the_only_way_to_a_backend() -> None:
    # the gateway has to quieten TensorFlow and to see its devices
    assert importers("tensorflow", "jax", "torch") <= {"dlcli.backend"}


def test_scikit_learn_serves_the_demo_alone_among_commands_that_have_to_be_quick() -> None:
    assert importers("sklearn") <= {"dlcli.data.demo"}


LIGHT = (
    *(
        "dlcli.data.dataset",
        "dlcli.evaluation.metrics",
        "dlcli.kaggle.submission",
        "dlcli.kaggle.submit",
        "dlcli.runs.run",
    ),
    *(
        "dlcli.config",
        "dlcli.settings.fields",
        "dlcli.files.atomic",
        "dlcli.settings.schedule",
        "dlcli.data.choice",
    ),
    *("dlcli.inference.predictions", "dlcli.files.paths", "dlcli.progress", "dlcli.errors"),
)


@pytest.mark.parametrize("module", LIGHT)
def test_what_needs_no_network_never_sees_one(module: str) -> None:
    network = ("keras", "bcolz", "openvino")
    assert not [each for each in imports_of(module) if each.of(*network)]


def test_at_a_modules_own_level_only_what_is_quick_is_imported() -> None:
    quick = {"dlcli", "click", *sys.stdlib_module_names}
    slow = [
        f"{each.importer}:{each.line} imports {each.imported}"
        for each in IMPORTS
        if each.at_module_level and each.imported.partition(".")[0] not in quick
    ]
    assert slow == []


def test_the_library_does_not_know_its_command_line() -> None:
    # `python -m dlcli` is the door
    assert importers("dlcli.cli") <= below("cli") | {"dlcli.__main__"}


def test_a_modules_name_says_what_it_holds() -> None:
    parts = {part for name in SOURCES for part in name.split(".")}
    assert not parts & SAYS_NOTHING


def test_every_public_function_and_class_says_what_it_is_for() -> None:
    silent = []
    for module, tree in SOURCES.items():
        if module != "dlcli" and not ast.get_docstring(tree) and tree.body:
            silent.append(module)
        silent += [
            f"{module}.{node.name}"
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
            and not node.name.startswith("_")
            and not ast.get_docstring(node)
        ]
    assert silent == []


def test_an_exception_of_any_kind_is_caught_only_to_be_raised_again() -> None:
    swallowed = [
        f"{module}:{node.lineno}"
        for module, tree in SOURCES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
        and not isinstance(node.body[-1], ast.Raise)
    ]
    assert swallowed == []
