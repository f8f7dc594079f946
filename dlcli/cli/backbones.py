"""`dl backbones`: list the pretrained networks, or the layers of one."""

from __future__ import annotations

import click

from dlcli.cli.parts.complete import complete_backbone
from dlcli.cli.parts.help import Command, DebugOption
from dlcli.cli.parts.options import JSON
from dlcli.cli.parts.tables import emit_json, print_table
from dlcli.models.backbones import BACKBONES, Backbone, get_backbone


@click.command(cls=Command)
@click.argument("backbone", required=False, shell_complete=complete_backbone)
@JSON
def command(backbone: str | None, as_json: bool) -> None:
    """List the pretrained networks, or the layers of one.

    The list shows input, size, licence and where the weights are. With BACKBONE, the
    command lists the layers that can train, from the input to the output. `--freeze-to` takes a
    name from the column `layer`, `--unfreeze` a number from the column `unfreeze`.

    Choose a network with `--backbone NAME`. Missing weights are downloaded when a command needs
    them; those of efficientnet-lite1 and -lite2 are packages, and a message shows how to install
    them. `--weights FILE` uses your own file instead.
    """
    if backbone is not None:
        _print_layers(get_backbone(backbone), as_json)
        return
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


def _print_layers(backbone: Backbone, as_json: bool) -> None:
    from dlcli.backend import start_backend
    from dlcli.models.network import build_network, cut, layers_with_weights

    start_backend()
    network = cut(build_network(backbone, backbone.image_size), backbone, "pooled")
    layers = layers_with_weights(network)
    rows = [
        {
            "layer": layer.name,
            "kind": type(layer).__name__,
            "parameters": layer.count_params(),
            "unfreeze": len(layers) - place,
        }
        for place, layer in enumerate(layers)
    ]
    if as_json:
        emit_json(rows)
    else:
        print_table(list(rows[0]), [[*row.values()] for row in rows])


command.params.append(DebugOption())
