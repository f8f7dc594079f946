"""`dl aws put` and `dl aws get`: copy the project, datasets, runs and features."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dlcli.cli.aws.account import NAMED
from dlcli.cli.aws.connect import TRUST, reached
from dlcli.cli.parts.ask import YES, consent
from dlcli.cli.parts.help import Command
from dlcli.cli.parts.options import OneOf, with_config
from dlcli.config import Config
from dlcli.errors import DlError, ExitCode
from dlcli.files.paths import absolute, expanded, home, shown
from dlcli.progress import say
from dlcli.words import count, printable, size

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from paramiko import SSHClient

    from dlcli.aws.copy.copy import Prepared
    from dlcli.aws.copy.plan import Direction, Folders

KINDS = ("project", "dataset", "runs", "features")
# A question about deletion names this many files at most.
MOST_NAMED = 20


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    for decorate in reversed(
        (
            click.argument("kind", metavar="[WHAT]", type=OneOf(KINDS), default=KINDS[0]),
            click.argument("named", metavar="[NAME]", required=False),
            click.option("--dry-run", is_flag=True, help="print what would be done; do nothing"),
            click.option(
                "--overwrite",
                is_flag=True,
                help="replace files even if the destination has newer ones",
            ),
            click.option(
                "--delete",
                is_flag=True,
                help="delete files that only the destination has; asks first",
            ),
            YES,
            TRUST,
            with_config(*NAMED, "aws.exclude", "dataset"),
        )
    ):
        function = decorate(function)
    return function


@click.command("put", cls=Command)
@click.option("--git", "with_history", is_flag=True, help="copy the project's .git too")
@_options
def put_command(config: Config, **typed: Any) -> None:
    """Copy the project, a dataset, runs or features to a box.

    WHAT is `project` (the default), `dataset`, `runs` or `features`. NAME is a dataset; you
    may also name it by `-d`. For runs, NAME may be DATASET/RUN. `~/data/x` here becomes `~/data/x`
    on the box. If the command is interrupted, run it again: it continues.

    The project is the git checkout of the current folder. On the box it is in `~/projects/`,
    in a folder of the same name. If you trust it here (`dl config trust`), the box trusts it too.
    Files that git ignores are not copied. Passwords and keys are not copied either: `.env*`,
    `*.pem`, `.aws/`, `.ssh/` and what `--exclude` names.
    """
    _transfer(config, "put", **typed)


@click.command("get", cls=Command)
@_options
def get_command(config: Config, **typed: Any) -> None:
    """Copy the project, a dataset, runs or features from a box.

    WHAT and NAME are as in `dl aws put`. A file that is newer here stays, unless you add
    `--overwrite`.
    """
    _transfer(config, "get", with_history=False, **typed)


def _transfer(
    config: Config,
    direction: Direction,
    *,
    kind: str,
    named: str | None,
    dry_run: bool,
    overwrite: bool,
    delete: bool,
    yes: bool,
    trust: bool,
    with_history: bool,
) -> None:
    from dlcli.aws.copy.copy import copy, delete_at_goal, prepare, trust_there
    from dlcli.aws.ssh import connect

    parts = folders_of(config, direction, kind, named)
    host, again = reached(config, trust)
    with connect(host) as client:
        if direction == "get" and kind == "runs" and named and not parts[0].here.is_dir():
            parts = _on_the_box(client, config, parts, named)
        copies = [
            prepare(
                client,
                direction,
                folders,
                delete=delete,
                overwrite=overwrite,
                with_history=with_history,
                options=host.options,
            )
            for folders in parts
        ]
    for prepared in copies:
        _say_plan(prepared)
        if dry_run:
            _print(prepared)
            continue
        if prepared.plan.delete:
            _ask(prepared, yes)
        copy(host, prepared, again)
        if prepared.plan.delete:
            with connect(host) as client:
                delete_at_goal(client, prepared)
        if folders := _trusted(prepared):
            with connect(host) as client:
                _say_not_trusted(trust_there(client, folders))
        _say_done(prepared, following(kind, prepared, host.options))


def _trusted(prepared: Prepared) -> list[str]:
    """The folders on the box that are trusted here: what `dl aws put` brings is as trusted."""
    from dlcli.trust import is_trusted, real, trusted_folders

    if prepared.direction == "get" or not prepared.folders.is_project:
        return []
    root = real(prepared.folders.here)
    inside = [each for each in trusted_folders() if each.is_relative_to(root) and is_trusted(each)]
    return [f"{prepared.there}/{each.relative_to(root)}".removesuffix("/.") for each in inside]


def _say_not_trusted(folders: list[str]) -> None:
    for folder in folders:
        say(f"Not trusted on the box yet. Type there: `dl config trust {shlex.quote(folder)}`.")


def _on_the_box(
    client: SSHClient, config: Config, parts: list[Folders], named: str
) -> list[Folders]:
    """The folders of a run that was named without its dataset, if the box has one of that name.

    Raises:
        DlError: the box has no run of that name, or several.
    """
    from dlcli.aws.copy.copy import dataset_of

    dataset = dataset_of(client, parts[0].there, named)
    return folders_of(config, "get", "runs", f"{dataset}/{named}") if dataset else parts


def folders_of(config: Config, direction: Direction, kind: str, named: str | None) -> list[Folders]:
    """The folder here and the folder on the box that the arguments name.

    They are two pairs only if a dataset has features inside and in the cache.

    Raises:
        DlError: the dataset or run does not exist here, the current folder is not in a git
            checkout, or the name is not one of a run.
    """
    from dlcli.aws.copy.lists import checkout_around
    from dlcli.aws.copy.plan import PROJECTS, Folders, counterpart
    from dlcli.data.choice import folder_named, one_name, typed_name, typed_option
    from dlcli.data.dataset import FEATURES

    settings = config.settings()
    named = one_name(
        named, typed_option(config), lambda name: folder_named(name, settings.data_dir)
    )
    exclude = tuple(settings.aws.exclude or ())
    if kind == "project":
        if named is not None:
            raise click.UsageError(
                "Leave out NAME and `-d`: `project` copies the project of this folder."
            )
        root = checkout_around(Path.cwd())
        there = f"{PROJECTS}/{root.name}"
        return [Folders(f"project {root.name}", root, there, exclude, is_project=True)]
    if kind == "runs":
        here = _runs(settings.runs_dir, direction, named)
        inside = here.relative_to(settings.runs_dir).as_posix() if named else ""
        there = counterpart(here, home(), f"runs/{inside}".rstrip("/"))
        return [Folders(f"runs {inside}".strip(), here, there, exclude)]
    root = _dataset(config, direction, named)
    there = counterpart(root, home(), f"data/{root.name}")
    if kind == "features":
        return _features(direction, root, f"{there}/{FEATURES}", exclude)
    other = f"dl aws {direction} features {typed_name(root)}"
    return [Folders(f"dataset {root.name}", root, there, exclude, {f"/{FEATURES}/": other})]


def _features(
    direction: Direction, root: Path, there: str, exclude: tuple[str, ...]
) -> list[Folders]:
    """The folders of a dataset's features; two if some of them are in the cache.

    Raises:
        DlError: there are none to put.
    """
    from dlcli.aws.copy.plan import Folders
    from dlcli.data.choice import typed_name
    from dlcli.features.store import place_of_new_stores, store_places

    what = f"features of {root.name}"
    inside, cached = store_places(root)
    if direction == "get":
        here = place_of_new_stores(root) if root.is_dir() else inside
        return [Folders(what, here, there, exclude, dataset=root)]
    in_cache, in_dataset = (
        {path.name for path in place.iterdir()} if place.is_dir() else set()
        for place in (cached, inside)
    )
    if not in_cache | in_dataset:
        raise DlError(
            f"{root.name} has no features yet",
            hint=f"Compute them: `dl features -d {typed_name(root)}`.",
        )
    # a store of both is used where new ones are made
    if place_of_new_stores(root) == inside:
        in_cache -= in_dataset
    else:
        in_dataset -= in_cache
    parts = ((inside, in_dataset, in_cache), (cached, in_cache, in_dataset))
    return [
        Folders(what, here, there, exclude, {f"/{name}/": "" for name in others})
        for here, names, others in parts
        if names
    ]


def _dataset(config: Config, direction: Direction, named: str | None) -> Path:
    """A dataset's folder. With `get` it may not exist here yet."""
    from dlcli.data.choice import choose_dataset, with_named

    if direction == "get" and named:
        here = absolute(config.settings().data_dir / expanded(named))
        if not here.is_dir():
            return here
    choice = choose_dataset(with_named(config, named))
    say(str(choice))
    return choice.root


def _runs(runs_dir: Path, direction: Direction, named: str | None) -> Path:
    """The folder of all runs, of a dataset's runs, or of one run."""
    from dlcli.runs.choice import find_run

    if named is None:
        return runs_dir
    here = runs_dir / named
    if ".." in here.parts or not here.is_relative_to(runs_dir) or here == runs_dir:
        raise DlError(
            f"{named!r} is neither a dataset nor a run",
            hint="Name `DATASET` or `DATASET/RUN`, as `dl runs --all` lists them.",
            exit_code=ExitCode.USAGE,
        )
    if direction == "put" and not here.is_dir():
        return find_run(named, runs_dir).path
    return here


def _say_plan(prepared: Prepared) -> None:
    from dlcli.aws.copy.plan import left_out_lines

    plan, folders = prepared.plan, prepared.folders
    here, there = shown(folders.here), f"the box's ~/{printable(folders.there)}"
    ends = (here, there) if prepared.direction == "put" else (there, here)
    what = f"{folders.what}: {count(len(plan.send), 'file')}, {size(plan.size_bytes)}"
    same = f"; {len(plan.same):,} already there" if plan.same else ""
    say(f"{what}, from {ends[0]} to {ends[1]}{same}")
    for line in left_out_lines(plan.left_out):
        say(line)
    if plan.newer:
        for line in left_out_lines({"newer at the destination": plan.newer}):
            say(f"{line} Add `--overwrite` to replace them.")


def _print(prepared: Prepared) -> None:
    """Print what would be done, one line per file."""

    for verb, names in (("copy", prepared.plan.send), ("delete", prepared.plan.delete)):
        for name in names:
            click.echo(f"{verb} {printable(name)}")


def _ask(prepared: Prepared, yes: bool) -> None:
    """Name what would be deleted, and ask.

    Raises:
        DlError: there is no terminal to ask at.
    """
    names = prepared.plan.delete
    where = "on the box" if prepared.direction == "put" else "here"
    say(f"To be deleted {where}, {count(len(names), 'file')}:")
    for name in names[:MOST_NAMED]:
        say(f"  {printable(name)}")
    if len(names) > MOST_NAMED:
        say(f"  and {len(names) - MOST_NAMED:,} more (`--dry-run` lists them all)")
    consent(f"Delete {count(len(names), 'file')} {where}?", yes)


def following(kind: str, prepared: Prepared, options: str) -> str:
    """The command that usually follows a copy."""
    from dlcli.data.choice import typed_name

    if prepared.direction == "put":
        return f"dl aws ssh{options}"
    here = prepared.folders.here
    if kind == "runs":
        name = prepared.folders.what.removeprefix("runs").strip()
        return f"dl runs show {shlex.quote(name)}" if "/" in name else "dl runs --all"
    if kind == "project":
        return "git status"
    return f"dl train finetune -d {typed_name(prepared.folders.dataset or here)}"


def _say_done(prepared: Prepared, command: str) -> None:
    plan = prepared.plan
    deleted = f", deleted {count(len(plan.delete), 'file')}" if plan.delete else ""
    verb = "Sent" if prepared.direction == "put" else "Fetched"
    say(f"{verb} {count(len(plan.send), 'file')}{deleted}; next: `{command}`")
