"""`dl aws put` and `get` as they are typed: EC2 simulated, ssh and rsync real."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest
from support.aws_account import Account
from support.aws_box import rented
from support.command_result import Dl, ok, refused
from support.listed_runs import last_named_dataset, listed_run
from support.pictures import make_dataset
from support.project import make_project, somebodys_project
from support.sshd import Sshd, Wire, program

from dlcli.aws.copy.copy import counted_in
from dlcli.features import store
from dlcli.features.store import store_places

pytestmark = pytest.mark.slow


@pytest.fixture
def project(aws: Account, sshd: Sshd, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout called dogs that one is in, and a box of that name."""
    program("rsync")
    root = home / "code" / "dogs"
    root.mkdir(parents=True)
    subprocess.run([program("git"), "init", "-q", root], check=True)
    for name in ("train.py", ".gitignore", ".env", "data/1.jpg", "key.pem", "notes.zip"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("/data/\n" if name == ".gitignore" else name)
    monkeypatch.chdir(root)
    rented(aws, sshd, monkeypatch)
    return root


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_project_goes_there_without_what_stays_here_which_is_named(
    dl: Dl, project: Path, sshd: Sshd
) -> None:
    (project / "sub").mkdir()
    os.chdir(project / "sub")
    result = ok(dl("aws", "put", "--exclude", "*.zip"))
    there = sshd.home / "projects" / "dogs"
    assert names(there) == {"train.py", ".gitignore"}
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "project dogs: 2 files, 15 bytes, from ~/code/dogs to the box's ~/projects/dogs",
        "Left out 1, excluded by `.env*`: .env.",
        "Left out 1, ignored by git: data/.",
        "Left out 1, excluded by `*.pem`: key.pem.",
        "Left out 1, excluded by `*.zip`: notes.zip.",
        "Sent 2 files; next: `dl aws ssh -n dogs`",
    ]


def test_a_project_that_is_trusted_here_is_trusted_there(dl: Dl, project: Path, sshd: Sshd) -> None:
    somebodys_project(project / "theirs")
    make_project(project)
    make_project(project / "inner")
    make_project(project.parent / "other")
    place = sshd.home / ".local" / "bin" / "dl"
    place.parent.mkdir(parents=True)
    place.write_text('#!/bin/sh\necho "$*" >>"$HOME/typed"\n')
    place.chmod(0o755)
    assert "trusted" not in ok(dl("aws", "put")).stderr
    there = sshd.home / "projects" / "dogs"
    assert (sshd.home / "typed").read_text().splitlines() == [
        f"config trust -- {there}",
        f"config trust -- {there}/inner",
    ]
    # an older dl does not know the command, and none is there
    place.write_text('#!/bin/sh\ncase "$4" in */inner) exit 127 ;; esac\nexit 2\n')
    assert "trusted" not in ok(dl("aws", "put")).stderr
    place.write_text("#!/bin/sh\nexit 1\n")
    said = ok(dl("aws", "put")).stderr
    typed = f"dl config trust {shlex.quote(str(there))}"
    assert f"Not trusted on the box yet. Type there: `{typed}`." in said


def test_its_history_goes_along_when_told(dl: Dl, project: Path, sshd: Sshd) -> None:
    ok(dl("aws", "put", "project", "--git"))
    there = sshd.home / "projects" / "dogs"
    done = subprocess.run(["git", "-C", there, "status", "--short"], capture_output=True, text=True)
    assert (done.returncode, "?? train.py" in done.stdout) == (0, True)
    result = ok(dl("aws", "put", "project"))
    assert "0 files" in result.stderr
    assert (there / ".git" / "HEAD").exists()


def test_what_was_made_there_comes_back_and_what_is_newer_here_stays(
    dl: Dl, project: Path, sshd: Sshd
) -> None:
    ok(dl("aws", "put"))
    there = sshd.home / "projects" / "dogs"
    (there / "made.py").write_text("made")
    (project / "train.py").write_text("edited here")
    os.utime(project / "train.py", (2e9, 2e9))
    result = ok(dl("aws", "get"))
    assert (project / "made.py").read_text() == "made"
    assert (project / "train.py").read_text() == "edited here"
    assert (
        "Left out 1, newer at the destination: train.py. Add `--overwrite` to replace them."
        in result.stderr
    )
    ok(dl("aws", "get", "--overwrite"))
    assert (project / "train.py").read_text() == "train.py"


def test_a_dry_run_prints_and_changes_nothing(dl: Dl, project: Path, sshd: Sshd) -> None:
    result = ok(dl("aws", "put", "--dry-run"))
    assert result.stdout == "copy .gitignore\ncopy notes.zip\ncopy train.py\n"
    assert not (sshd.home / "projects").exists()
    ok(dl("aws", "put"))
    (project / "notes.zip").unlink()
    result = ok(dl("aws", "put", "--dry-run", "--delete"))
    assert result.stdout == "delete notes.zip\n"
    assert (sshd.home / "projects" / "dogs" / "notes.zip").exists()


def test_deletion_lists_and_asks_first(dl: Dl, project: Path, sshd: Sshd) -> None:
    ok(dl("aws", "put"))
    (project / "notes.zip").unlink()
    (project / "more.py").write_text("more")
    there = sshd.home / "projects" / "dogs"
    result = refused(dl("aws", "put", "--delete"), "Nothing was done", "Add `--yes`", exit_code=2)
    assert "To be deleted on the box, 1 file:\n  notes.zip\n" in result.stderr
    assert names(there) == {"train.py", ".gitignore", "notes.zip"}
    result = ok(dl("aws", "put", "--delete", "--yes"))
    assert "Sent 1 file, deleted 1 file" in result.stderr
    assert names(there) == {"train.py", ".gitignore", "more.py"}


def test_a_dataset_is_the_same_folder_there(dl: Dl, project: Path, home: Path, sshd: Sshd) -> None:
    root = make_dataset(home / "data" / "tiny", train=2, valid=1)
    (root / "features").mkdir()
    (root / "features" / "x.bc").write_text("features")
    result = ok(dl("aws", "put", "dataset", "tiny"))
    there = sshd.home / "data" / "tiny"
    assert names(there) == {name for name in names(root) if not name.startswith("features/")}
    assert (
        "Left out 1, `dl aws put features tiny -n dogs` copies them: features/x.bc."
        in result.stderr
    )
    ok(dl("aws", "put", "features"))  # the dataset last named
    assert names(there) == names(root)
    subprocess.run(["rm", "-r", root], check=True)
    ok(dl("aws", "get", "dataset", "tiny"))
    assert names(root) == {name for name in names(there) if not name.startswith("features/")}


def test_features_of_a_read_only_dataset_go_from_the_cache_and_come_back_to_it(
    dl: Dl, project: Path, home: Path, sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_dataset(home / "data" / "tiny", train=2, valid=1)
    inside, cached = store_places(root)
    for place, name in ((inside, "a"), (inside, "b"), (cached, "b"), (cached, "c")):
        (place / name).mkdir(parents=True)
        (place / name / "x.bc").write_text(place.parent.name)
    there = sshd.home / "data" / "tiny" / "features"
    (there / "old").mkdir(parents=True)
    (there / "old" / "x.bc").write_text("old")
    monkeypatch.setattr(store, "_is_writable", lambda folder: not folder.is_relative_to(root))
    said = ok(dl("aws", "put", "features", "tiny", "--delete", "--yes")).stderr
    assert "Left out" not in said
    assert {path.parent.name: path.read_text() for path in there.rglob("*.bc")} == {
        "a": "tiny",
        "b": "features",
        "c": "features",
    }
    said = ok(dl("aws", "get", "features", "tiny")).stderr
    assert "next: `dl train finetune -d tiny`" in said
    assert {path.name for path in cached.iterdir()} == {"a", "b", "c"}


def test_features_of_a_dataset_that_was_read_only_once_go_from_the_dataset(
    dl: Dl, project: Path, home: Path, sshd: Sshd
) -> None:
    root = make_dataset(home / "data" / "tiny", train=2, valid=1)
    inside, cached = store_places(root)
    for place, name in ((inside, "b"), (cached, "b"), (cached, "c")):
        (place / name).mkdir(parents=True)
        (place / name / "x.bc").write_text(place.parent.name)
    ok(dl("aws", "put", "features", "tiny"))
    there = sshd.home / "data" / "tiny" / "features"
    assert {path.parent.name: path.read_text() for path in there.rglob("*.bc")} == {
        "b": "tiny",
        "c": "features",
    }


def test_runs_come_back_all_or_one(dl: Dl, project: Path, home: Path, sshd: Sshd) -> None:
    last_named_dataset()
    runs = [listed_run(f"20261123140{n}-finetune-e3", "tiny") for n in (1, 2)]
    ok(dl("aws", "put", "runs", runs[0].name))
    there = sshd.home / "runs" / "tiny"
    assert [path.name for path in there.iterdir()] == [runs[0].name]
    ok(dl("aws", "put", "runs"))
    assert names(there) == names(home / "runs" / "tiny")
    subprocess.run(["rm", "-r", home / "runs"], check=True)
    ok(dl("aws", "get", "runs", f"tiny/{runs[1].name}"))
    assert [path.name for path in (home / "runs" / "tiny").iterdir()] == [runs[1].name]
    ok(dl("aws", "get", "runs"))
    assert names(home / "runs" / "tiny") == names(there)


@pytest.mark.parametrize("named", ["..", "../x", "/", "~", "", "."])
@pytest.mark.parametrize("direction", ["put", "get"])
def test_runs_outside_of_their_folder_are_refused(
    dl: Dl, project: Path, home: Path, sshd: Sshd, named: str, direction: str
) -> None:
    (home / "runs").mkdir()
    result = dl("aws", direction, "runs", named, "--delete", "--yes")
    assert result.exit_code in (1, 2)
    assert not (sshd.home / "runs").exists()


@pytest.mark.parametrize("here", ["~", "/"])
def test_a_home_or_a_disk_as_dataset_is_refused(
    dl: Dl, project: Path, home: Path, here: str
) -> None:
    (home / "keep").write_text("keep")
    folder = home if here == "~" else Path("/")
    for direction in ("put", "get"):
        refused(
            dl("aws", direction, "dataset", folder, "--delete", "--yes"),
            "cannot be copied as a whole",
            exit_code=2,
        )
    assert (home / "keep").exists()


def test_what_is_not_there_is_said(dl: Dl, project: Path) -> None:
    refused(dl("aws", "get", "dataset", "nowhere"), "/data/nowhere on the box is empty or missing")
    refused(dl("aws", "put", "dataset", "nowhere"), "No such dataset: nowhere")


def test_outside_of_a_checkout_there_is_no_project(
    dl: Dl, project: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    refused(dl("aws", "put", "-n", "dogs"), "~ is not in a git checkout", "git init")


def test_a_copy_that_is_cut_goes_on(
    dl: Dl, aws: Account, sshd: Sshd, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program("rsync")
    big = home / "data" / "big" / "train" / "a" / "1.jpg"
    big.parent.mkdir(parents=True)
    big.write_bytes(os.urandom(10_000_000))
    # to be let in, to look, to ask for rsync; then the copy
    wire = Wire(sshd.port, [10**9] * 3 + [5_000_000])
    rented(aws, sshd, monkeypatch, port=wire.port)
    result = ok(dl("aws", "put", "dataset", "big", "-n", "dogs"))
    wire.close()
    assert "The connection was lost" in result.stderr
    assert "Reconnected; the copy continues." in result.stderr
    assert (sshd.home / "data" / "big" / "train" / "a" / "1.jpg").read_bytes() == big.read_bytes()
    assert sum(wire.carried) < 15_000_000


def test_a_run_comes_back_by_its_bare_name_as_it_went(
    dl: Dl, project: Path, home: Path, sshd: Sshd
) -> None:
    last_named_dataset()
    run = listed_run("202611231401-finetune-e3", "tiny")
    ok(dl("aws", "put", "runs", run.name))
    subprocess.run(["rm", "-r", home / "runs"], check=True)
    result = ok(dl("aws", "get", "runs", run.name))
    assert f"{run.name} is tiny/{run.name} on the box" in result.stderr
    assert f"; next: `dl runs show tiny/{run.name}`\n" in result.stderr
    assert [path.name for path in (home / "runs" / "tiny").iterdir()] == [run.name]
    (sshd.home / "runs" / "fish" / run.name).mkdir(parents=True)
    (sshd.home / "runs" / "fish" / run.name / "log.txt").write_text("x")
    refused(dl("aws", "get", "runs", run.name), "On the box 2 datasets have", f"`fish/{run.name}`")
    ok(dl("aws", "get", "runs", "tiny"))
    refused(
        dl("aws", "get", "runs", "nowhere"), "The box has no dataset and no run", "`DATASET/RUN`"
    )


def test_features_that_are_not_there_are_made_by_dl_features(
    dl: Dl, project: Path, home: Path
) -> None:
    make_dataset(home / "data" / "tiny", train=2, valid=1)
    refused(dl("aws", "put", "features", "tiny"), "tiny has no features", "`dl features -d tiny`")


def test_what_is_missing_there_is_looked_for_where_it_would_be(dl: Dl, project: Path) -> None:
    refused(dl("aws", "get", "dataset", "nowhere"), "`dl aws ssh -n dogs ls data`")


@pytest.mark.parametrize(
    ("size_bytes", "said"),
    [(7, (7, "bytes", 1)), (12_345, (13, "kB", 1000)), (5_000_000_001, (5001, "MB", 10**6))],
)
def test_a_copys_bar_counts_in_what_fits_its_size(
    size_bytes: int, said: tuple[int, str, int]
) -> None:
    assert counted_in(size_bytes) == said
