"""Recipes beside `dl.yaml` are found as the built-in ones are; a broken one breaks only itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.command_result import Dl, ok, refused
from support.project import BROKEN, WIDE, make_project, somebodys_project

from dlcli.catalog import (
    broken_files,
    built_in_names,
    hyperparameter_names,
    loadable_names,
    make_recipe,
    own_names,
    recipe_class,
    recipe_digest,
    recipe_file,
    recipe_names,
    recipe_text,
)
from dlcli.errors import DlError, ExitCode
from dlcli.recipes.finetune import Finetune
from dlcli.settings.fields import settings_of

# What stands in a file before and after the line that a test is about.
TOP = "from dataclasses import dataclass\nfrom dlcli.recipe import setting\n"
FROZEN = "@dataclass(frozen=True)\n"
CLASS = f"{TOP}from dlcli.recipes.linear import Linear\n{FROZEN}class Own(Linear):\n"


@pytest.fixture
def why(home: Path) -> Callable[[str], str]:
    """Why a file with this text is no recipe."""

    def ask(text: str) -> str:
        make_project(home, own=text)
        with pytest.raises(DlError) as caught:
            recipe_class("own")
        assert caught.value.what == "The recipe ~/recipes/own.py can't be loaded"
        assert caught.value.exit_code == ExitCode.ERROR
        assert "`dl recipes own --debug`" in caught.value.hint
        return caught.value.why

    return ask


def test_each_file_beside_the_nearest_project_file_is_a_recipe_of_its_name(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project(home / "cats", wide_head=WIDE)
    (project / "deep").mkdir()
    assert own_names() == ()
    monkeypatch.chdir(project / "deep")
    assert own_names() == ("wide-head",)
    assert recipe_names() == tuple(sorted([*built_in_names(), "wide-head"]))
    assert recipe_text("wide-head") == "One layer, then a wider one.\n\nIt serves the tests."
    assert make_recipe("wide-head", {"units": 7}).hyperparameters()["units"] == 7
    assert recipe_file("wide-head") == project / "recipes" / "wide_head.py"
    assert recipe_file("finetune") is None


def test_a_nearer_project_has_recipes_of_its_own(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_project(home, outer=WIDE, wide=WIDE)
    monkeypatch.chdir(make_project(home / "inner", wide=WIDE.replace("(4,", "(9,")))
    assert own_names() == ("wide",)
    assert make_recipe("wide", {}).hyperparameters()["units"] == 9
    monkeypatch.chdir(home)
    assert make_recipe("wide", {}).hyperparameters()["units"] == 4


@pytest.mark.parametrize("name", ["_private", "my-recipe", "1st", ".hidden", "recipe copy"])
def test_a_file_that_cannot_be_a_module_is_no_recipe(home: Path, name: str) -> None:
    make_project(home, **{name: WIDE})
    (home / "recipes" / "folder.py").mkdir()
    assert own_names() == ()


def test_one_may_be_derived_from_a_built_in_one(home: Path) -> None:
    text = CLASS.replace("linear", "finetune").replace("Linear", "Finetune")
    make_project(home, own=text + "    units: int = setting(4, 'outputs')\n")
    cls = recipe_class("own")
    assert issubclass(cls, Finetune)
    assert {"dropout", "units"} <= set(settings_of(cls))


def test_names_and_texts_are_known_without_running_any_code(home: Path) -> None:
    make_project(home, own='"""Says what it is."""\nopen("it ran", "w")\n')
    assert recipe_names()
    assert recipe_text("own") == "Says what it is."
    assert recipe_digest("own")
    assert not (home / "it ran").exists()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (WIDE, {"units", "schedule", "batch_size"}),
        (CLASS.replace("linear", "finetune").replace("Linear", "Finetune"), {"dropout", "augment"}),
        (f"{CLASS}    n: int = setting(1, 'n')\n    m: int = 3\n", {"n", "schedule"}),
    ],
)
def test_its_hyperparameters_are_read_from_its_text_as_its_class_has_them(
    home: Path, text: str, names: set[str]
) -> None:
    make_project(home, own=text if text.endswith("\n") and "    " in text else f"{text}    pass\n")
    found = hyperparameter_names("own")
    assert names <= set(found)
    assert "m" not in found
    if "m: int" not in text:
        assert set(found) == set(settings_of(recipe_class("own")))


@pytest.mark.parametrize(
    "text", ["x = (", "\0", "(" * 10_000, "from dlcli.recipe import nope\n", ""]
)
def test_of_a_broken_file_none_are_known(home: Path, text: str) -> None:
    make_project(home, own=text)
    assert hyperparameter_names("own") == ()


def test_nothing_is_read_before_the_project_is_trusted(home: Path, dl: Dl) -> None:
    somebodys_project(home, own=WIDE)
    (home / "recipes" / "kernel.py").symlink_to("/proc/kmsg")  # to read it waits for ever
    assert hyperparameter_names("own") == hyperparameter_names("kernel") == ()
    assert "One layer" not in ok(dl("train", "--help")).stdout
    assert "not trusted; `dl recipes` says what" in ok(dl("train", "--help")).stdout
    ok(dl("config", "trust"))
    said = ok(dl("train", "--help")).stdout
    assert "One layer, then a wider one." in said
    assert "not trusted" in said


def test_its_code_runs_once_and_leaves_nothing_beside_itself(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make_project(home, own=WIDE + "\nprint('running')\n", broken="print('broken')\n1 / 0\n")
    assert recipe_class("own") is recipe_class("own")
    assert len(broken_files()) == len(broken_files()) == 1
    out, err = capfd.readouterr()
    assert (out, err.split()) == ("", ["running", "broken"])
    assert sorted(path.name for path in (home / "recipes").iterdir()) == ["broken.py", "own.py"]


def test_its_digest_is_of_its_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, text in {"a": WIDE, "b": WIDE, "c": WIDE + "\n"}.items():
        make_project(home / folder, own=text)
    digests = []
    for folder in "abc":
        monkeypatch.chdir(home / folder)
        digests.append(recipe_digest("own"))
    assert digests[0] == digests[1] != digests[2]
    assert all(len(digest) == 16 for digest in digests)
    assert len({recipe_digest(name) for name in built_in_names()}) == len(built_in_names())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BROKEN, "line 3: ModuleNotFoundError: No module named 'nobody_has_this'"),
        ("x = 1\ny = (\n", "line 2: SyntaxError: '(' was never closed"),
        ("\nx\n", "line 2: NameError: name 'x' is not defined"),
        ("def f():\n    return 1 / 0\n\n\nf()\n", "line 2: ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)\n", "line 1: SystemExit: 3"),
        (
            "from dlcli.recipe import Schedule\nSchedule.parse('fast')\n",
            "line 2: Refused: ",
        ),
        ("import keras\n", "line 1: it imports keras before `dl` has set keras up"),
        ("from keras.layers import Dense\n", "line 1: it imports keras before"),
        ("", "it has no class that derives from `Recipe` or from another recipe"),
        ("from dlcli.recipes.linear import Linear\n", "it has no class that derives from"),
        (
            f"{CLASS}    pass\n{FROZEN}class Other(Own):\n    pass\n",
            "it has 2 recipes (`Own`, `Other`), expected one",
        ),
        (
            CLASS.replace(FROZEN, "") + "    pass\n",
            "its class `Own` lacks `@dataclass(frozen=True)`",
        ),
        (CLASS.replace("(frozen=True)", "") + "    pass\n", "line 4: TypeError: cannot inherit"),
        (f"{CLASS}    n: int = 3\n", "its field `n` is not declared with `setting(...)`"),
        (f"{CLASS}    n = setting(3, 'n')\n", "TypeError: 'n' is a field but has no type"),
        (
            f"{CLASS}    n: list = setting((), 'n')\n",
            "its field `n` has a type that a setting can't",
        ),
        (f"{CLASS}    n: int = setting(0.5, 'n')\n", "`n` can't be 0.5: expected a whole number"),
        (f"{CLASS}    n: int = setting('3', 'n')\n", "its field `n` can't have the default '3'"),
        (f"{CLASS}    n: int = setting(0, 'n', at_least=1)\n", "`n` can't be 0: expected a whole"),
        (f"{CLASS}    seed: int = setting(0, 'n')\n", "its field `seed` has the name of an option"),
        (
            f"{CLASS}    telling = lambda self: ['a/b']\n",
            "its `telling()` gives 'a/b', which can't",
        ),
        (f"{CLASS}    phases = lambda self: self.nope\n", "line 6: AttributeError: 'Own' object"),
        (
            f"{CLASS}    pinned = {{'bacbone': 'vgg16'}}\n",
            "it pins `bacbone`, which is not a setting",
        ),
        (
            f"{TOP}from dlcli.recipe import Recipe\n{FROZEN}class A(Recipe):\n    pass\n",
            "its class `A` has no method `head`",
        ),
    ],
    ids=range(24),
)
def test_why_a_file_cannot_be_loaded_names_the_line_and_the_error(
    why: Callable[[str], str], text: str, reason: str
) -> None:
    assert reason in why(text)


@pytest.mark.parametrize(
    "old",
    [
        "from dlcli.fields import setting",
        "from dlcli.schedule import Schedule",
        "from dlcli.settings import Settings",
    ],
)
def test_an_import_of_an_earlier_version_is_answered_with_the_line_to_write(
    dl: Dl, home: Path, old: str
) -> None:
    make_project(home, mine=f'"""Mine."""\n\n{old}\n')
    line = "`from dlcli.recipe import Recipe, Schedule, setting`"
    said = refused(dl("train", "mine"), "~/recipes/mine.py can't be loaded: line 3: ", line)
    assert "Traceback" not in said.stderr
    # what it names can be imported
    exec(line.strip("`"), {})


def test_a_file_that_is_no_text_or_cannot_be_read_is_reported_too(home: Path) -> None:
    make_project(home, noise="", nothing="")
    (home / "recipes" / "noise.py").write_bytes(b"\x00\xff\xfe")
    (home / "recipes" / "nothing.py").unlink()
    (home / "recipes" / "nothing.py").symlink_to("nowhere.py")
    assert [file.name for file in broken_files()] == ["noise.py"]
    with pytest.raises(DlError, match=r"noise\.py can't be loaded"):
        recipe_text("noise")


def test_a_broken_one_leaves_the_others_alone(home: Path) -> None:
    make_project(home, wide=WIDE, broken=BROKEN)
    assert recipe_names() == tuple(sorted([*built_in_names(), "broken", "wide"]))
    assert loadable_names() == tuple(sorted([*built_in_names(), "wide"]))
    assert [file.name for file in broken_files()] == ["broken.py"]


def test_a_built_in_name_is_taken(home: Path) -> None:
    make_project(home, finetune=WIDE)
    assert recipe_class("finetune") is Finetune
    assert recipe_file("finetune") is None
    assert own_names() == ()
    (error,) = broken_files().values()
    assert str(error) == (
        "The recipe ~/recipes/finetune.py is not used: a built-in recipe has the name finetune\n"
        "Rename the file."
    )


def test_an_unknown_recipe_names_the_nearest_and_where_it_was_looked_for(home: Path) -> None:
    with pytest.raises(DlError) as caught:
        recipe_class("fintune")
    assert caught.value.exit_code == ExitCode.USAGE
    assert "Did you mean `finetune`" in caught.value.hint
    assert "there is no project here (no dl.yaml)" in caught.value.why
    make_project(home, wide_head=WIDE)
    with pytest.raises(DlError) as caught:
        recipe_class("wide-haed")
    assert "Did you mean `wide-head`" in caught.value.hint
    assert "~/recipes/wide_haed.py does not exist" in caught.value.why
