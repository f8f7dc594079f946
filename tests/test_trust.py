"""The record of trusted projects: by path and owner, outside of the project."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from support.project import make_project, somebodys_project

from dlcli import trust
from dlcli.config import load_config
from dlcli.errors import DlError
from dlcli.files.paths import state_home


def test_a_record_is_for_its_user_alone_and_outside_of_the_project(home: Path) -> None:
    project = make_project(home / "cats")
    (record,) = (state_home() / "trusted").iterdir()
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    assert stat.S_IMODE(record.parent.stat().st_mode) == 0o700
    assert {path.name for path in project.iterdir()} == {"dl.yaml", "recipes"}
    trust.trust(project)
    assert trust.trusted_folders() == [project]


def test_a_folder_is_known_by_its_real_path(home: Path) -> None:
    odd = make_project(home / os.fsdecode(b"a\n b\xff"))
    (home / "link").symlink_to(odd)
    assert trust.is_trusted(home / "link")
    assert trust.is_trusted(odd / ".." / odd.name)
    assert trust.trusted_folders() == [odd]
    (home / "link").unlink()
    (home / "link").symlink_to(somebodys_project(home / "other"))
    assert not trust.is_trusted(home / "link")


def test_a_folder_that_moved_or_is_gone_is_not_trusted(home: Path) -> None:
    project = make_project(home / "cats")
    project.rename(home / "moved")
    assert not trust.is_trusted(project)
    assert not trust.is_trusted(home / "moved")
    assert trust.trusted_folders() == [project]
    assert trust.revoke(project)
    assert trust.trusted_folders() == []


def test_another_users_folder_in_its_place_is_not_trusted(home: Path) -> None:
    if os.geteuid():
        pytest.skip("only root gives folders away")
    project = make_project(home / "cats")
    os.chown(project, 1234, 1234)
    assert not trust.is_trusted(project)
    with pytest.raises(trust.UntrustedError, match=r"is not a trusted project since its owner has"):
        trust.require(project, "It")
    trust.trust(project)
    assert trust.is_trusted(project)


@pytest.mark.parametrize("content", [b"", b"0", b"0 /\n", b"\xff" * 100_000])
def test_a_record_of_something_else_trusts_nothing(home: Path, content: bytes) -> None:
    project = make_project(home / "cats")
    (record,) = (state_home() / "trusted").iterdir()
    record.write_bytes(content)
    assert not trust.is_trusted(project)
    assert trust.trusted_folders() == []
    trust.trust(project)
    assert trust.is_trusted(project)


def test_the_environment_names_folders_by_absolute_paths(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        somebodys_project(home / name)
    monkeypatch.setenv("DL_TRUST", f"{home}/a{os.pathsep}~/b{os.pathsep}c{os.pathsep}{os.pathsep}.")
    assert [trust.is_trusted(home / name) for name in ("a", "b", "c")] == [True, True, False]
    monkeypatch.chdir(home / "c")
    assert not trust.is_trusted(Path.cwd())
    assert load_config().warnings == ()


def test_settings_that_wait_are_read_only_when_they_are_used(home: Path) -> None:
    somebodys_project(home, "aws: {region: mars, disk: 9}\nweights: secret\nseed: 4\n")
    settings = load_config().settings()
    assert settings.seed == 4
    assert settings.aws.type == "g6.xlarge"
    for read in (lambda: settings.aws.region, lambda: settings.aws.disk, lambda: settings.weights):
        with pytest.raises(DlError, match=r"in ~/dl\.yaml is not used: ~ is not a trusted"):
            read()
    typed = load_config().with_flags({"aws.region": "eu-west-1", "weights": None}).settings()
    assert (typed.aws.region, typed.weights) == ("eu-west-1", None)
    trust.trust(home)
    assert load_config().settings().aws.disk == 9


def test_what_the_user_sets_does_not_wait(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    somebodys_project(home)
    (home / "mine.yaml").write_text("weights: mine\n")
    monkeypatch.setenv("DL_AWS__DISK", "10")
    settings = load_config(home / "mine.yaml").settings()
    assert (settings.weights, settings.aws.disk) == (home / "mine", 10)


def test_a_project_file_that_is_a_link_needs_trust_where_it_leads(home: Path) -> None:
    somebodys_project(home / "theirs", "weights: secret\n")
    project = make_project(home / "mine")
    (project / "dl.yaml").unlink()
    (project / "dl.yaml").symlink_to(home / "theirs" / "dl.yaml")
    with pytest.raises(DlError, match=r"type `dl config trust ~/theirs`"):
        load_config(folder=project).get("weights")
