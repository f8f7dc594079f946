"""`dl data augment-preview`: draw an image with random augmentation."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem

from dlcli.cli.parts.complete import complete_dataset
from dlcli.cli.parts.help import Command
from dlcli.cli.parts.options import TypedPath, with_config
from dlcli.cli.parts.tables import print_table
from dlcli.config import FLAG, Config
from dlcli.files.paths import expanded, shown
from dlcli.progress import say
from dlcli.settings.augmentation import AMOUNTS, Augmentation
from dlcli.settings.fields import settings_of

DECLARED = settings_of(Augmentation)
OUTPUT = Path("augment-preview.png")


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete datasets, else files."""
    found = complete_dataset(ctx, param, incomplete)
    return [CompletionItem(w.value, type="file") if w.type == "dir" else w for w in found]


@click.command("augment-preview", cls=Command)
@click.argument("named", metavar="[DATASET|IMAGE]", required=False, shell_complete=_complete)
@click.option(
    "--output",
    type=TypedPath(),
    default=OUTPUT,
    show_default=True,
    metavar="FILE",
    help="the PNG to write; an existing one is replaced",
)
@with_config("dataset", "seed", *AMOUNTS)
def command(config: Config, named: str | None, output: Path) -> None:
    """Draw an image and eight random augmentations of it.

    IMAGE is a file. If you name a DATASET instead, `dl` draws an image of its train/, chosen by
    --seed.
    """
    from dlcli.report.photos.augment_preview import preview

    settings = config.settings()
    image, root = _choose(config, named)
    say(f"Image {shown(image)}")
    preview(image, settings.augmentation, settings.seed, output)
    _print_amounts(config, settings.augmentation)
    after = "these settings don't change the image: set an amount, such as `--rotation 15`"
    if not settings.augmentation.changes_nothing:
        given = config.given_flags(AMOUNTS)
        after = f"next: `{' '.join(['dl train cnn --augment', *given])}{root}`"
    say(f"Saved {shown(output)}; {after}")


def _choose(config: Config, named: str | None) -> tuple[Path, str]:
    """The image, and the argument that makes the next command take its dataset."""
    from dlcli.data.choice import again, choose_dataset, typed_option, with_named
    from dlcli.images.formats import has_usual_suffix
    from dlcli.report.photos.augment_preview import training_image

    if named and (has_usual_suffix(named) or expanded(named).is_file()):
        if typed_option(config):
            raise click.UsageError(
                f"{shown(named)} is an image, and `-d` names a dataset: leave out one of them."
            )
        return expanded(named), ""
    choice = choose_dataset(with_named(config, named))
    say(str(choice))
    return training_image(choice.root, config.settings().seed), again(choice.root)


def _print_amounts(config: Config, augmentation: Augmentation) -> None:
    """Print each amount in effect, and whether it was set or comes from the preset."""
    rows = []
    for name, value in augmentation.describe().items():
        found = config.get(f"augmentation.{name}")
        origin = "option" if found.origin == FLAG else found.origin
        if found.value is None:
            origin = f"preset {augmentation.preset}"
        rows.append([name, _text(value), origin, DECLARED[name].help])
    print_table(["amount", "value", "from", "what it does"], rows)


def _text(value: str | float | None) -> str:
    if value is None:
        return "auto"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else f"{value:.12g}"
