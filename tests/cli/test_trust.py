"""A project that may be somebody else's: what `dl` runs and uses of it, before it is trusted."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from support.command_result import Dl, ok, refused
from support.project import WIDE, make_project, somebodys_project
from support.terminal import written_to

from dlcli.cli.parts.ask import WITHHELD
from dlcli.errors import DlError
from dlcli.files.paths import shown, state_home
from dlcli.settings_file import user_file
from dlcli.trust import is_trusted

TELLTALE = 'open({file!r}, "w").close()\n'


@pytest.fixture
def ran(home: Path) -> Path:
    """The file that the code of the recipes below makes when it runs."""
    return home / "it ran"


@pytest.fixture
def theirs(home: Path, ran: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Somebody's project, whose recipes tell that they ran; the current folder is deep in it."""
    tells = '"""A nice recipe."""\n' + TELLTALE.format(file=str(ran)) + WIDE
    project = somebodys_project(home / "theirs", nice=tells, finetune=tells)
    (project / "deep" / "own").mkdir(parents=True)
    monkeypatch.chdir(project / "deep" / "own")
    return project


# Each with its exit code: 0, unless it needs a recipe's code, or something that does not exist.
WITHOUT_CODE = {
    "--help": 0,
    "recipes": 0,
    "recipes --json": 0,
    "recipes fc": 0,
    "train --help": 0,
    "train finetune --help": 0,
    "train nice --help": 0,
    "train nice -d x": 1,
    "lr-find --help": 0,
    "lr-find nice": 1,
    "ladder --help": 0,
    "config show": 1,
    "config show seed --json": 1,
    "config path": 0,
    "config get seed": 0,
    "config get units": 1,
    "config get train.nice.units": 1,
    "config set seed 3": 0,
    "config set aws.disk 30": 0,
    "config set seed 3 --project": 0,
    "config set train.nice.units 3 --project": 1,
    "config unset seed": 0,
    "config unset sed": 1,
    "runs": 1,
    "runs ls nice": 1,
    "data ls": 0,
    "features ls": 1,
    "backbones": 0,
    "evaluate": 1,
    "nice": 2,
}


@pytest.mark.parametrize(("command", "exit_code"), WITHOUT_CODE.items())
def test_no_command_runs_its_code(
    dl: Dl, theirs: Path, ran: Path, command: str, exit_code: int
) -> None:
    done = dl(*command.split())
    assert not ran.exists()
    assert done.exit_code == exit_code, done.stderr


@pytest.mark.parametrize("trusted", [False, True])
def test_completion_runs_no_projects_code_trusted_or_not(
    theirs: Path, ran: Path, trusted: bool, dl: Dl
) -> None:
    if trusted:
        ok(dl("config", "trust"))
    lines = ["dl ", "dl train ", "dl train n", "dl train nice --", "dl train nice --engine "]
    lines += ["dl recipes ", "dl lr-find ", "dl lr-find nice --", "dl rerun --set ", "dl runs ls "]
    lines += ["dl config get ", "dl config set train.nice.", "dl config show ", "dl config trust "]
    code = "import os\nfrom dlcli.cli import main\nfor line in LINES:\n"
    code += "    os.environ.update(COMP_WORDS=line, COMP_CWORD=str(len(line.split(' ')) - 1))\n"
    code += "    try: main([])\n    except SystemExit: pass\n    print('--', line)\n"
    environ = os.environ | {"_DL_COMPLETE": "bash_complete"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"LINES = {lines!r}\n{code}"],
        env=environ,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    for word in ("nice", "--lr", "openvino"):
        assert f"plain,{word}\n" in done.stdout
    for word in ("--units", "--batch-size", "train.nice.units"):
        assert (f"plain,{word}\n" in done.stdout) is trusted
    assert not ran.exists()


def test_its_recipes_are_listed_by_name_with_what_to_type(dl: Dl, theirs: Path) -> None:
    said = ok(dl("recipes"))
    assert ["nice", "not trusted"] in [line.split(maxsplit=1) for line in said.stdout.splitlines()]
    assert "The recipe ~/theirs/recipes/nice.py is not run: ~/theirs is not a tr" in said.stderr
    assert "type `dl config trust ~/theirs`" in said.stderr


@pytest.mark.parametrize("command", ["train nice -d x", "lr-find nice", "recipes nice"])
def test_a_command_that_needs_its_code_ends_with_what_to_type(
    dl: Dl, theirs: Path, command: str
) -> None:
    refused(
        dl(*command.split()),
        "The recipe ~/theirs/recipes/nice.py is not run: ~/theirs is not a trusted project\n",
        "type `dl config trust ~/theirs`. In CI, set `DL_TRUST` instead.",
    )


def test_all_settings_are_not_shown_without_those_of_its_recipes(dl: Dl, theirs: Path) -> None:
    said = refused(dl("config", "show"), "`dl config trust ~/theirs`")
    assert said.stdout == ""
    ok(dl("config", "trust"))
    assert "train.nice.units" in ok(dl("config", "show")).stdout


def test_a_built_in_recipe_needs_none_of_it(dl: Dl, theirs: Path, ran: Path, tiny: Path) -> None:
    (theirs / "recipes" / "broken.py").write_text("1 / 0\n")
    (theirs / "dl.yaml").write_text("weights: theirs\naws: {type: theirs}\n")
    said = ok(dl("train", "linear", "-d", tiny, "--image-size", "16", "--epochs", "1"))
    assert "trust" not in said.stderr
    assert not ran.exists()


def test_once_trusted_it_is_used_and_may_change(
    dl: Dl, home: Path, theirs: Path, ran: Path
) -> None:
    said = ok(dl("config", "trust"))
    assert said.stderr == (
        "~/theirs is trusted: `dl` runs its recipes, and uses all of its settings.\n"
    )
    ok(dl("recipes", "nice"))
    assert ran.exists()
    (theirs / "recipes" / "other.py").write_text(WIDE)
    ok(dl("recipes", "other"))
    assert ok(dl("config", "trust", "--list")).stdout == f"{theirs}\n"
    assert "no longer trusted" in ok(dl("config", "trust", "--revoke", theirs)).stderr
    assert "is not trusted" in ok(dl("config", "trust", "--revoke", theirs)).stderr
    refused(dl("recipes", "other"), "not a trusted project")
    assert ok(dl("config", "trust", "--list")).stdout == ""


def test_a_folder_inside_is_a_project_of_its_own(dl: Dl, home: Path, theirs: Path) -> None:
    ok(dl("config", "trust", theirs))
    inner = somebodys_project(theirs / "inner", nice=WIDE)
    os.chdir(inner)
    refused(dl("recipes", "nice"), "~/theirs/inner is not a trusted project")


def test_a_folder_that_is_no_project_is_said(dl: Dl, home: Path) -> None:
    refused(dl("config", "trust"), "There is no project here", "dl config trust FOLDER")
    refused(dl("config", "trust", "nowhere"), "~/nowhere is not a folder", exit_code=2)
    (home / "any").mkdir()
    (home / "any").chmod(0o777)
    said = ok(dl("config", "trust", "any")).stderr
    assert "Warning: it has no dl.yaml" in said
    assert "Warning: every user of this computer may change what is in it." in said


def answered(answer: str, *words: str) -> tuple[int, str]:
    """How a command ends at a terminal at which somebody answers, and what it writes."""
    ours, its = pty.openpty()
    code = f"import sys\nfrom dlcli.cli import main\nsys.exit(main({list(words)!r}))"
    streams = {"stdin": its, "stdout": its, "stderr": its}
    process = subprocess.Popen([sys.executable, "-P", "-c", code], **streams)
    os.close(its)
    os.write(ours, f"{answer}\n".encode())
    written = written_to(ours)
    return process.wait(), " ".join(written.split())


def test_at_a_terminal_it_is_asked_once(theirs: Path, ran: Path) -> None:
    code, said = answered("n", "recipes", "nice")
    assert code == 1
    assert WITHHELD in said
    assert "recipes/nice.py is not run: ~/theirs is not a trusted project." in said
    assert "may be somebody else's. Before you trust it, `dl` runs none of its recipes" in said
    assert said.endswith("Trust ~/theirs? [y/N]: Nothing was done.")
    assert not ran.exists()
    code, said = answered("y", "recipes", "nice")
    assert code == 0
    assert "hyperparameter" in said
    assert ran.exists()
    assert is_trusted(theirs)
    assert "Trust" not in answered("n", "recipes", "nice")[1]


def test_help_is_not_asked_about(theirs: Path, ran: Path) -> None:
    code, said = answered("n", "train", "nice", "--help")
    assert code == 0
    assert "Trust ~/theirs?" not in said
    assert "The recipe ~/theirs/recipes/nice.py is not run" in said
    assert "show this page" in said
    assert not ran.exists()


def test_an_answer_that_can_not_be_remembered_counts_for_the_command(
    theirs: Path, ran: Path
) -> None:
    state_home().mkdir(parents=True)
    (state_home() / "trusted").touch()  # a file, where the folder of the records would be
    code, said = answered("y", "recipes", "nice")
    assert code == 0
    assert "Warning: the answer is not remembered: ~/.local/state/dl/trusted is a file." in said
    assert "set `DL_TRUST=~/theirs`" in said
    assert said.count("Trust ~/theirs?") == 1
    assert ran.exists()


@pytest.mark.parametrize("command", ["config path", "config trust --help"])
def test_all_that_needs_trust_is_named_wherever_trust_is_explained(
    dl: Dl, theirs: Path, command: str
) -> None:
    said = ok(dl(*command.split()))
    assert WITHHELD in " ".join((said.stdout + said.stderr).split())


def test_where_dl_makes_the_project_it_is_trusted(dl: Dl, home: Path) -> None:
    for name in ("new", "has-recipes", "open"):
        (home / name).mkdir()
    (home / "has-recipes" / "recipes").mkdir()
    (home / "open").chmod(0o777)
    for name, trusted in {"new": True, "has-recipes": False, "open": False}.items():
        os.chdir(home / name)
        ok(dl("config", "set", "--project", "seed", "1"))
        assert is_trusted(home / name) is trusted
    os.chdir(home / "new")
    ok(dl("config", "trust", "--revoke"))
    ok(dl("config", "set", "--project", "seed", "2"))
    assert not is_trusted(home / "new")


def test_path_and_show_say_that_it_is_not_trusted(dl: Dl, home: Path) -> None:
    somebodys_project(home, "aws: {type: p5.48xlarge}\n")
    assert "~ is not a trusted project" in ok(dl("config", "path")).stderr
    said = ok(dl("config", "show", "aws.type"))
    assert "p5.48xlarge" in said.stdout
    assert "~ is not a trusted project" in said.stderr
    said = ok(dl("config", "get", "aws.type"))
    assert said.stdout == "p5.48xlarge\n"
    assert "`dl config trust ~`" in said.stderr
    ok(dl("config", "trust"))
    assert ok(dl("config", "path")).stderr == "~ is a trusted project.\n"
    assert ok(dl("config", "show", "aws.type")).stderr == ""
    assert json.loads(ok(dl("config", "show", "--json")).stdout)["aws.type"]["value"] == (
        "p5.48xlarge"
    )


def test_settings_that_cost_money_or_send_files_are_not_used(
    dl: Dl, home: Path, tiny: Path
) -> None:
    somebodys_project(home, "aws: {region: eu-west-1}\nweights: secret\n")
    for words in ("aws ls", "aws up", "aws down"):
        refused(dl(*words.split()), "`aws.region` in ~/dl.yaml is not used: ~ is not a trusted")
    said = refused(dl("features", "-d", tiny), "`weights` in ~/dl.yaml is not used")
    assert "type `dl config trust ~`" in said.stderr


def test_an_option_has_precedence_and_other_settings_are_used(dl: Dl, home: Path) -> None:
    (home / "bag" / "one").mkdir(parents=True)
    somebodys_project(home, "data_dir: bag\nseed: 9\nweights: secret\n")
    said = ok(dl("data", "ls"))
    assert "one" in said.stdout
    sets = "Warning: ~/dl.yaml sets `data_dir` to ~/bag, and is not a trusted project's"
    assert said.stderr.count(sets) == 1
    assert ok(dl("features", "ls", "--all")).stderr.count(sets) == 1
    assert ok(dl("config", "get", "seed")).stdout == "9\n"
    make_project(home, "data_dir: bag\n")
    assert "trusted" not in ok(dl("data", "ls")).stderr


def test_python_is_refused_with_the_line_to_type(theirs: Path, ran: Path, tiny: Path) -> None:
    import dlcli

    with pytest.raises(DlError, match=r"type `dl config trust ~/theirs`"):
        dlcli.train("nice", tiny)
    assert not ran.exists()


@pytest.mark.parametrize("kind", ["fifo", "folder", "link to nothing", "link to a device"])
def test_a_project_file_that_is_no_file_is_said(dl: Dl, home: Path, kind: str) -> None:
    file = home / "dl.yaml"
    if kind == "fifo":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    else:
        file.symlink_to("/dev/zero" if kind == "link to a device" else "nowhere")
    what = "is a link to nowhere, which" if kind == "link to nothing" else "is not a file"
    refused(dl("data", "ls"), f"~/dl.yaml {what}")
    ok(dl("--help"))
    ok(dl("config", "path"))


@pytest.mark.forks
def test_a_project_file_that_may_not_be_read_is_said(bound: Dl, home: Path) -> None:
    (home / "dl.yaml").touch(0o000)
    refused(bound("data", "ls"), "No permission to use ~/dl.yaml: Permission denied")


def test_a_recipe_that_is_no_file_is_none_and_stops_nothing(dl: Dl, home: Path) -> None:
    make_project(home, wide=WIDE)
    os.mkfifo(home / "recipes" / "pipe.py")
    (home / "recipes" / "endless.py").symlink_to("/dev/zero")
    assert "wide" in ok(dl("recipes")).stdout
    refused(dl("recipes", "pipe"), "~/recipes/pipe.py is not a file", exit_code=2)


def test_a_link_out_of_the_project_needs_trust_where_it_leads(dl: Dl, home: Path) -> None:
    pool = home / "pool"
    pool.mkdir()
    (pool / "wide.py").write_text(WIDE)
    make_project(home / "mine")
    (home / "mine" / "recipes" / "wide.py").symlink_to(pool / "wide.py")
    os.chdir(home / "mine")
    refused(dl("recipes", "wide"), "type `dl config trust ~/pool`")
    ok(dl("config", "trust", pool))
    ok(dl("recipes", "wide"))


@pytest.mark.parametrize("words", ["set seed 7", "unset seed"])
def test_a_link_out_of_the_project_is_changed_only_if_it_leads_into_a_trusted_folder(
    dl: Dl, home: Path, words: str
) -> None:
    (home / "private").mkdir()
    other = home / "private" / "other.yaml"
    other.write_text("seed: 5\n")
    (home / "theirs").mkdir()
    (home / "theirs" / "dl.yaml").symlink_to(other)
    os.chdir(home / "theirs")
    command = ("config", *words.split(), "--project")
    what = "~/theirs/dl.yaml, a link out of its project, is not changed: ~/private is not a tr"
    refused(dl(*command), what, "type `dl config trust ~/private`")
    assert other.read_text() == "seed: 5\n"
    ok(dl("config", "trust", home / "private"))
    ok(dl(*command))
    assert other.read_text() != "seed: 5\n"
    assert (home / "theirs" / "dl.yaml").is_symlink()


@pytest.mark.parametrize("option", ["--project", ""])
@pytest.mark.parametrize("kind", ["fifo", "folder", "loop"])
def test_what_is_no_file_of_settings_is_not_replaced(
    dl: Dl, home: Path, kind: str, option: str
) -> None:
    file = home / "dl.yaml" if option else user_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    if kind == "fifo":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    else:
        file.symlink_to(file.name)
    before = file.lstat()
    what = f"is a link to {file.name}, which leads to nothing"
    for words in ("set seed 7", "unset seed"):
        said = dl("config", *words.split(), *option.split())
        refused(said, f"{shown(file)} {what if kind == 'loop' else 'is not a file'}")
    assert file.lstat() == before
