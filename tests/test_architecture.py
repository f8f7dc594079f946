"""Which module may import what, read from the source: arrows point down, and never in a circle.

The floors are those of `docs/architecture.md`. An import counts wherever it stands: in a function's
body, and for the type checker alone, too. Each rule is a function of sources, so that it is seen to
find what it forbids in sources made for it.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import dlcli

ROOT = Path(dlcli.__file__).parent
TESTS = Path(__file__).parent

Sources = Mapping[str, ast.Module]


def sources_below(root: Path, package: str) -> dict[str, ast.Module]:
    """Every module of a package, parsed, by its dotted name."""
    return {
        ".".join([package, *path.relative_to(root).with_suffix("").parts]).removesuffix(
            ".__init__"
        ): ast.parse(path.read_text(), str(path))
        for path in sorted(root.rglob("*.py"))
    }


@cache
def all_sources() -> dict[str, ast.Module]:
    """Those of `dlcli`, parsed when first asked for: each fork would copy their 57 MB."""
    return sources_below(ROOT, "dlcli")


# From the top floor down. What stands on a floor imports what stands on lower ones, and nothing
# beside it. `dlcli` itself and `__main__` are the doors, above them all.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("cli",),
    ("api",),
    ("experiments",),
    ("kaggle", "report", "training"),
    ("inference",),
    ("features", "runs"),
    ("data",),
    ("config",),
    ("settings_file",),
    ("keys",),
    ("catalog",),
    ("recipes",),
    ("models",),
    ("images", "aws", "trust"),
    ("files", "recipe"),
    ("settings", "evaluation", "progress", "process", "backend"),
    ("errors", "words", "version", "git"),
)
DOORS = {"dlcli": {"api", "version"}, "dlcli.__main__": {"cli"}}
# A column of its own, which knows nothing of learning.
AWS_MAY = {"settings", "files", "words", "progress", "process", "errors", "version", "git"}

# Each heavy library in its one place, or below it.
HEAVY = {
    "click": "dlcli.cli",
    "rich": "dlcli.progress",
    "bcolz": "dlcli.features.compute",
    "kaggle": "dlcli.kaggle.account",
    "kagglesdk": "dlcli.kaggle.account",
    "tensorflow": "dlcli.backend",
    "jax": "dlcli.backend",
    "torch": "dlcli.backend",
    "sklearn": "dlcli.data.photos.demo",
    "boto3": "dlcli.aws",
    "botocore": "dlcli.aws",
    "paramiko": "dlcli.aws",
}

# The kinds of datasets. What is about one of them alone is in a package or a module of its name.
KINDS = frozenset({"photos", "ratings"})

# What has to answer at once, and so never sees a network.
QUICK = (
    "dlcli.data",
    "dlcli.runs",
    "dlcli.evaluation",
    "dlcli.settings",
    "dlcli.config",
    "dlcli.inference.predictions",
    "dlcli.kaggle.photos.submission",
    "dlcli.kaggle.photos.submit",
    "dlcli.kaggle.ratings",
    "dlcli.kaggle.submit",
    "dlcli.files",
    "dlcli.progress",
    "dlcli.errors",
    "dlcli.words",
)
NETWORK = ("keras", "bcolz", "openvino")

SAYS_NOTHING = {"utils", "util", "helpers", "helper", "common", "base", "misc", "core", "tools"}


@dataclass(frozen=True)
class Import:
    """What one import statement names, and where it stands."""

    importer: str
    imported: str
    line: int
    at_module_level: bool
    for_types_alone: bool

    def of(self, *packages: str) -> bool:
        """Whether it imports one of some packages, or a part of one."""
        return any(is_below(self.imported, package) for package in packages)

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.imported}"


def is_below(module: str, package: str) -> bool:
    """Whether a module is a package, or a part of it."""
    return f"{module}.".startswith(f"{package}.")


def imports_of(module: str, sources: Sources) -> Iterator[Import]:
    """All imports of a module, in bodies and for the type checker included."""
    stack: list[tuple[ast.AST, bool, bool]] = [(sources[module], True, False)]
    while stack:
        node, outside, typing = stack.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            stack += [(child, outside, True) for child in node.body]
            stack += [(child, outside, typing) for child in node.orelse]
            continue
        if isinstance(node, ast.Import):
            for name in node.names:
                yield Import(module, name.name, node.lineno, outside, typing)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relative to itself"
            for name in node.names:
                whole = f"{node.module}.{name.name}"
                imported = whole if whole in sources else str(node.module)
                yield Import(module, imported, node.lineno, outside, typing)
        elif isinstance(node, ast.Call) and (named := imported_by_name(node)):
            yield Import(module, named, node.lineno, outside, typing)
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        stack += [(each, outside and not inside, typing) for each in ast.iter_child_nodes(node)]


def imported_by_name(call: ast.Call) -> str | None:
    """The module that `import_module("...")` and its like name in full."""
    function = ast.unparse(call.func).rpartition(".")[2]
    if function in ("import_module", "__import__") and isinstance(call.args[0], ast.Constant):
        return str(call.args[0].value)
    return None


def all_imports(sources: Sources) -> list[Import]:
    """Every import in some sources."""
    return [each for module in sources for each in imports_of(module, sources)]


def circles(sources: Sources) -> list[list[str]]:
    """Modules each of which can be reached from itself by imports (Tarjan 1972)."""
    arrows: dict[str, set[str]] = {module: set() for module in sources}
    for each in all_imports(sources):
        if each.imported in arrows:
            arrows[each.importer].add(each.imported)
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []
    found = []

    def visit(module: str) -> None:
        number[module] = lowest[module] = len(number)
        path.append(module)
        for other in sorted(arrows[module]):
            if other not in number:
                visit(other)
            if other in path:
                lowest[module] = min(lowest[module], lowest[other])
        if lowest[module] == number[module]:
            circle = path[path.index(module) :]
            del path[path.index(module) :]
            if len(circle) > 1 or module in arrows[module]:
                found.append(sorted(circle))

    for module in sources:
        if module not in number:
            visit(module)
    return found


def floor_of(module: str) -> int:
    """On which floor a module stands, counted from the top."""
    package = module.split(".")[1]
    return next(number for number, floor in enumerate(FLOORS) if package in floor)


def arrows_up(sources: Sources) -> list[str]:
    """Imports of what stands higher, or beside the importer in another package."""
    found = []
    for each in all_imports(sources):
        if not is_below(each.imported, "dlcli"):
            continue
        package = each.imported.removeprefix("dlcli").lstrip(".").partition(".")[0]
        if each.importer in DOORS:
            allowed = package in DOORS[each.importer]
        elif not package or each.imported in DOORS:
            allowed = False
        elif package == each.importer.split(".")[1]:
            allowed = True
        else:
            allowed = floor_of(each.importer) < floor_of(each.imported)
        if not allowed:
            found.append(str(each))
    return found


def heavy_elsewhere(sources: Sources) -> list[str]:
    """Imports of a heavy library outside its one place; types cost nothing."""
    return [
        str(each)
        for each in all_imports(sources)
        for library, place in HEAVY.items()
        if each.of(library) and not each.for_types_alone
        if not is_below(each.importer, place)
    ]


def networks_in_quick(sources: Sources) -> list[str]:
    """Imports of a network's libraries by what has to be quick; types cost nothing."""
    return [
        str(each)
        for each in all_imports(sources)
        if each.of(*NETWORK) and not each.for_types_alone
        if any(is_below(each.importer, package) for package in QUICK)
    ]


def slow_at_start(sources: Sources) -> list[str]:
    """Imports at a module's own level of what takes time."""
    quick = {"dlcli", "click", *sys.stdlib_module_names}
    return [
        str(each)
        for each in all_imports(sources)
        if each.at_module_level and not each.for_types_alone
        if each.imported.partition(".")[0] not in quick
    ]


def aws_and_learning(sources: Sources) -> list[str]:
    """Imports of `aws` beyond what it may know."""
    return [
        str(each)
        for each in all_imports(sources)
        if is_below(each.importer, "dlcli.aws") and is_below(each.imported, "dlcli")
        if each.imported.split(".")[1] not in AWS_MAY | {"aws"}
    ]


def evaluation_and_more(sources: Sources) -> list[str]:
    """Imports of `evaluation` beyond NumPy, words and errors."""
    known = {"numpy", *sys.stdlib_module_names}
    ours = ("dlcli.evaluation", "dlcli.errors", "dlcli.words")
    return [
        str(each)
        for each in all_imports(sources)
        if is_below(each.importer, "dlcli.evaluation")
        if each.imported.partition(".")[0] not in known and not each.of(*ours)
    ]


def kinds_of(module: str) -> set[str]:
    """The kinds that a module is about alone: one, or none."""
    return KINDS & set(module.split("."))


def kinds_entangled(sources: Sources) -> list[str]:
    """Imports of what is about one kind of dataset by what is about another."""
    return [
        str(each)
        for each in all_imports(sources)
        if (importer := kinds_of(each.importer)) and (imported := kinds_of(each.imported))
        if importer != imported
    ]


def kinds_compared(sources: Sources) -> list[str]:
    """Comparisons with a kind's name: each place that differs by kind has a table from kinds."""
    return [
        f"{module}:{node.lineno} compares with a kind"
        for module, tree in sources.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare | ast.MatchValue)
        if any(isinstance(e, ast.Constant) and e.value in KINDS for e in ast.walk(node))
    ]


def private_elsewhere(sources: Sources) -> list[str]:
    """Names with an underscore that another module imports."""
    return [
        f"{module}:{node.lineno} imports {name.name} of {node.module}"
        for module, tree in sources.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and is_below(str(node.module), "dlcli")
        for name in node.names
        if name.name.startswith("_") and not name.name.startswith("__")
    ]


RULES = (
    circles,
    arrows_up,
    heavy_elsewhere,
    networks_in_quick,
    slow_at_start,
    aws_and_learning,
    evaluation_and_more,
    kinds_entangled,
    kinds_compared,
    private_elsewhere,
)
every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)


@every_rule
def test_the_package_keeps_the_rule(rule: Callable[[Sources], list[Any]]) -> None:
    assert rule(all_sources()) == []


# What each rule has to find: modules that break it, and no other rule's business.
BROKEN = {
    "two modules import each other": (
        circles,
        {"dlcli.data.a": "from dlcli.data import b", "dlcli.data.b": "import dlcli.data.a"},
    ),
    "a module imports itself": (circles, {"dlcli.data.a": "from dlcli.data import a"}),
    "a circle through a body": (
        circles,
        {
            "dlcli.data.a": "def f():\n    from dlcli.data.b import g",
            "dlcli.data.b": "from dlcli.data.c import h",
            "dlcli.data.c": "from dlcli.data.a import f",
        },
    ),
    "a circle for the type checker": (
        circles,
        {
            "dlcli.data.a": "if TYPE_CHECKING:\n    from dlcli.data.b import B",
            "dlcli.data.b": "from dlcli.data.a import A",
        },
    ),
    "a circle by name": (
        circles,
        {
            "dlcli.data.a": "import importlib\nb = importlib.import_module('dlcli.data.b')",
            "dlcli.data.b": "from dlcli.data.a import A",
        },
    ),
    "a lower package imports a higher": (
        arrows_up,
        {"dlcli.data.a": "from dlcli.training.b import f", "dlcli.training.b": ""},
    ),
    "a package imports one beside it": (
        arrows_up,
        {"dlcli.report.a": "from dlcli.kaggle.b import f", "dlcli.kaggle.b": ""},
    ),
    "the library imports the command line in a body": (
        arrows_up,
        {"dlcli.runs.a": "def f():\n    from dlcli.cli import main", "dlcli.cli": ""},
    ),
    "a module imports the door": (arrows_up, {"dlcli.runs.a": "import dlcli", "dlcli": ""}),
    "the door imports a room": (arrows_up, {"dlcli": "from dlcli.runs.run import Run"}),
    "click in the library": (heavy_elsewhere, {"dlcli.data.a": "import click"}),
    "boto3 in a command": (heavy_elsewhere, {"dlcli.cli.a": "def f():\n    import boto3.session"}),
    "tensorflow beside its gateway": (heavy_elsewhere, {"dlcli.models.a": "import tensorflow"}),
    "bcolz in another module of features": (
        heavy_elsewhere,
        {"dlcli.features.store": "def f():\n    import bcolz"},
    ),
    "keras in a list of runs": (
        networks_in_quick,
        {"dlcli.runs.listing": "def f():\n    from keras import ops"},
    ),
    "numpy at a module's own level": (slow_at_start, {"dlcli.images.a": "import numpy as np"}),
    "a slow import within a class": (
        slow_at_start,
        {"dlcli.images.a": "class A:\n    from PIL import Image"},
    ),
    "aws knows runs": (aws_and_learning, {"dlcli.aws.a": "from dlcli.runs.b import f"}),
    "evaluation needs more than numpy": (
        evaluation_and_more,
        {"dlcli.evaluation.a": "def f():\n    import sklearn.metrics"},
    ),
    "evaluation knows files": (
        evaluation_and_more,
        {"dlcli.evaluation.a": "from dlcli.files.paths import shown"},
    ),
    "photos know ratings": (
        kinds_entangled,
        {"dlcli.data.photos.a": "def f():\n    from dlcli.evaluation import ratings"}
        | {"dlcli.evaluation.ratings": ""},
    ),
    "a kind in an if": (kinds_compared, {"dlcli.runs.a": "if kind == 'ratings':\n    pass"}),
    "a kind in a match": (
        kinds_compared,
        {"dlcli.runs.a": "match kind:\n    case 'photos':\n        pass"},
    ),
    "a private name of another module": (
        private_elsewhere,
        {"dlcli.data.a": "from dlcli.data.b import _f", "dlcli.data.b": ""},
    ),
}


@pytest.mark.parametrize("violation", BROKEN)
def test_a_rule_finds_what_it_forbids(violation: str) -> None:
    rule, made = BROKEN[violation]
    sources = {name: ast.parse(text) for name, text in made.items()}
    assert rule(sources) != []
    # and not because it finds something in anything
    assert rule({name: ast.parse("from pathlib import Path") for name in made}) == []


def test_types_may_name_what_is_slow() -> None:
    text = "if TYPE_CHECKING:\n    import keras\n    import numpy as np"
    made = {"dlcli.runs.a": ast.parse(text)}
    assert networks_in_quick(made) == slow_at_start(made) == []


def test_every_module_stands_on_a_floor() -> None:
    rooms = {module.split(".")[1] for module in all_sources() if module not in DOORS}
    assert rooms == {package for floor in FLOORS for package in floor}


def test_a_modules_name_says_what_it_holds() -> None:
    parts = {part for name in all_sources() for part in name.split(".")}
    assert not parts & SAYS_NOTHING


def test_every_public_function_and_class_says_what_it_is_for() -> None:
    silent = []
    for module, tree in all_sources().items():
        if module != "dlcli" and not ast.get_docstring(tree):
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
        for module, tree in all_sources().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
        and not isinstance(node.body[-1], ast.Raise)
    ]
    assert swallowed == []


def test_tests_import_what_is_large_in_their_bodies() -> None:
    """What a module of tests has at its top is in memory whenever a test forks: see conftest.py."""
    large = re.compile(r"^(from|import) (h5py|matplotlib|moto|paramiko|sklearn|tensorflow)", re.M)
    found = [path for path in TESTS.rglob("*.py") if large.search(path.read_text())]
    assert found == []
