"""`dl features`: compute, list and remove the features of a pretrained network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from dlcli import words
from dlcli.cli.parts.complete import complete_dataset
from dlcli.cli.parts.datasets import and_next
from dlcli.cli.parts.help import CALLED, Command, Group
from dlcli.cli.parts.options import JSON, OneOf, with_config, with_dataset
from dlcli.cli.parts.tables import emit_json, print_table
from dlcli.config import Config
from dlcli.data.dataset import SPLITS
from dlcli.errors import DlError, ExitCode, did_you_mean
from dlcli.files.paths import expanded, shown
from dlcli.progress import say
from dlcli.settings.shared import BACKBONE_SETTINGS

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# The features depend on these settings, the images and the layer.
FUNCTION = (*BACKBONE_SETTINGS, "image_size")
LAYERS = ("pooled", "conv", "imagenet")


class Features(Group):
    """The group that computes features itself: a word that is not a command is the dataset."""

    before_dataset = ""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        named = None
        typed, words = self._typed(ctx, args)
        if words and not self._is_command(words[0], typed.get("setting__data_dir")):
            named = words[0]
            place = len(args) - len(words)
            args = [*args[:place], *args[place + 1 :]]
        rest = super().parse_args(ctx, args)
        ctx.params["named"] = named
        return rest

    def _typed(self, ctx: click.Context, args: list[str]) -> tuple[Mapping[str, Any], list[str]]:
        """The options by name, and the words from the first one on that is not of an option."""
        with suppress(click.UsageError):  # parsing again says what is wrong
            return self.make_parser(ctx).parse_args(list(args))[:2]
        return {}, []

    def _is_command(self, word: str, data_dir: str | None) -> bool:
        """Whether a word is a command of the group, or is like one and not a dataset."""
        from dlcli.config import load_config
        from dlcli.data.choice import dataset_meant

        if CALLED.get(word, word) in self.commands:
            return True
        nearest = did_you_mean(word, tuple(self.commands))
        if not nearest.startswith("Did you mean"):
            return False
        folder = expanded(data_dir) if data_dir else load_config().settings().data_dir
        return dataset_meant(word, folder) is None

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        found = super().shell_complete(ctx, incomplete)
        if incomplete.startswith("-"):
            return found
        datasets = complete_dataset(ctx, self.params[0], incomplete)
        # in bash, "any folder" would hide the commands
        return found + [each for each in datasets if not found or each.type == "plain"]


@click.group(
    cls=Features,
    invoke_without_command=True,
    options_metavar="[OPTIONS] [DATASET]",
    subcommand_metavar="| COMMAND [ARGS]...",
)
@click.option(
    "--layer",
    type=OneOf(LAYERS),
    default="pooled",
    show_default=True,
    help="output to store; pooled: before the last layer; conv: after the convolutions; imagenet: "
    "the class probabilities",
)
@with_config("dataset", *FUNCTION, "workers", "on_error")
@click.pass_context
def command(ctx: click.Context, config: Config, layer: str, named: str | None) -> None:
    """Compute a pretrained network's features of all images.

    The features are stored in the dataset's folder, and training uses them. So each image goes
    through the network only once, however many runs you train. Name the dataset by DATASET or `-d`.
    """
    if ctx.invoked_subcommand is not None:
        _refuse_options_before(ctx)
        return
    from dlcli.data.choice import choose_dataset, with_named
    from dlcli.data.photos.photos import open_photos
    from dlcli.features.compute import compute_features, missing_splits
    from dlcli.features.rules import changed_of
    from dlcli.features.store import skipped, stored_rows
    from dlcli.images.headers import changes_sentence
    from dlcli.models.engines import resolve_forward

    choice = choose_dataset(with_named(config, named))
    say(str(choice))
    dataset, settings = open_photos(choice.root), config.settings()
    forward, weights = resolve_forward(settings, layer)  # type: ignore[arg-type]
    size = f"{forward.pixels.size}x{forward.pixels.size} pixels"
    engine = f"{forward.engine} in {forward.precision}"
    say(f"{forward.backbone}, layer {layer}, {size}, on {engine}")
    found = not missing_splits(dataset, forward)
    folder = compute_features(
        dataset, forward, weights, workers=settings.threads, on_error=settings.on_error
    )
    changed: dict[str, Sequence[str]] = {}
    for split, rows in stored_rows(folder).items():
        if dataset.splits[split]:
            changed |= changed_of(folder, dataset, split)
            left_out = len(skipped(folder, split))
            left = f", {left_out:,} left out" if left_out else ""
            click.echo(f"{split:6} {rows:>7,} images{left}")
    if line := changes_sentence(changed):
        say(line)
    done = f"Features are {'already computed, ' if found else ''}in {shown(folder)}"
    if layer == "pooled":
        done += and_next(dataset, " ".join(["dl train finetune", *config.given_flags(FUNCTION)]))
    say(done)


def _refuse_options_before(ctx: click.Context) -> None:
    """`dl features -d A rm --all` must not remove another dataset's features."""
    from click.core import ParameterSource

    given = [p for p in ctx.command.params if p.name and p.expose_value]
    given = [p for p in given if ctx.get_parameter_source(p.name) is ParameterSource.COMMANDLINE]
    typed = [ctx.params["named"]] if ctx.params["named"] else [p.opts[-1] for p in given]
    if typed:
        subcommand = ctx.invoked_subcommand
        raise click.UsageError(
            f"{typed[0]} has no effect before `{subcommand}`. Type it after `{subcommand}`.", ctx
        )


@command.command("ls", cls=Command)
@click.option("--all", "everything", is_flag=True, help="features of all datasets")
@JSON
@with_dataset()
def ls(config: Config, everything: bool, as_json: bool) -> None:
    """List a dataset's features and their size on disk."""
    from dlcli.data.choice import again, choose_dataset, dataset_names
    from dlcli.features.store import stored_features

    if everything and config.is_flag("dataset"):
        raise click.UsageError("Name a dataset or use `--all`, not both.")
    next_command = "dl features"
    if everything:
        data_dir = config.settings().data_dir
        roots = [data_dir / name for name in dataset_names(data_dir)]
    else:
        choice = choose_dataset(config)
        say(str(choice))
        roots = [choice.root]
        next_command += again(choice.root)
    found = [(root, store) for root in roots for store in stored_features(root)]
    if as_json:
        emit_json([_plain(store) for _, store in found])
        return
    if not found:
        say(f"No features yet; next: `{next_command}`")
        return
    print_table(
        [*(["dataset"] if everything else []), "features", *SPLITS, "MB", "unfinished"],
        [
            [
                *([root.name] if everything else []),
                store.folder.name,
                *(store.rows.get(split) for split in SPLITS),
                f"{store.size_bytes / 1e6:,.1f}",
                " ".join(store.unfinished),
            ]
            for root, store in found
        ],
    )


def _plain(store: Any) -> dict[str, Any]:
    return {
        "name": store.folder.name,
        "folder": str(store.folder),
        "rows": store.rows,
        "unfinished": list(store.unfinished),
        "size_bytes": store.size_bytes,
        "function": store.manifest,
    }


@command.command("rm", cls=Command)
@click.argument("name", required=False)
@click.option("--all", "everything", is_flag=True, help="remove all features of the dataset")
@click.option("--yes", "-y", is_flag=True, help="don't ask")
@with_config("dataset")
def rm(config: Config, name: str | None, everything: bool, yes: bool) -> None:
    """Remove features: NAME, as listed by `dl features ls`, or --all.

    NAME may be a pattern for several names: `dl features rm '*-view*'`.
    """
    from fnmatch import fnmatchcase

    from dlcli.data.choice import again, choose_dataset, dataset_meant, typed_name
    from dlcli.features.store import remove_features, require_removable, stored_features
    from dlcli.files.own import NotOwnError

    choice = choose_dataset(config, lasting=False)
    say(str(choice))
    stores = stored_features(choice.root)
    names = tuple(store.folder.name for store in stores)
    if (name is None) == (not everything):
        raise DlError(
            "Name the features to remove, or use `--all`",
            hint=f"`dl features ls{again(choice.root)}` lists them.",
            exit_code=ExitCode.USAGE,
        )
    chosen = [each for each in stores if everything or fnmatchcase(each.folder.name, str(name))]
    if not chosen and not everything:
        hint = did_you_mean(str(name), names)
        if root := dataset_meant(str(name), config.settings().data_dir):
            hint = f"{shown(str(name))} is a dataset: `dl features rm --all -d {typed_name(root)}`."
        raise DlError(f"No features have the name {name!r}", hint=hint)
    staying: list[NotOwnError] = []
    for store in chosen:
        try:
            require_removable(store.folder)
        except NotOwnError as error:  # it hinders no other
            staying.append(error)
            continue
        what = f"{store.folder.name} ({words.size(store.size_bytes)})"
        if yes or click.confirm(f"Remove {what}?", err=True):
            try:
                others = remove_features(store.folder)
            except NotOwnError as error:
                staying.append(error)
                continue
            say(f"Removed {what}.")
            for path in others:
                say(f"{shown(path)} stays: `dl` did not make it.")
        else:
            say(f"Kept {what}.")
    if not chosen:
        say("No features to remove.")
    for each in staying[:-1]:
        say(f"Error: {each}")
    if staying:
        raise staying[-1]
