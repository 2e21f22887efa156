"""``tinygrad-edu evaluate``: read a checkpoint back and measure it on the test images."""

import argparse
from pathlib import Path
from typing import Any

from tinygrad_edu.cli import digits_data, networks

__all__ = ["add_command", "run"]


def add_command(commands: Any) -> None:
    """Describe the command's arguments."""
    command = commands.add_parser("evaluate", help="measure a saved network on the test images")
    command.add_argument("checkpoint", type=Path, help="a file written by `tinygrad-edu train`")
    command.add_argument("--data", choices=digits_data.NAMES, help="other images than those it was trained on")
    command.add_argument("--root", type=Path, help="folder with the MNIST files")
    command.add_argument("--no-download", action="store_true", help="never touch the network")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Execute the command."""
    from tinygrad_edu import nn
    from tinygrad_edu.train import evaluate
    from tinygrad_edu.utils.data import DataLoader
    from tinygrad_edu.utils.serialization import CheckpointError, load, notes_of

    state, notes = load(options.checkpoint), notes_of(options.checkpoint)
    missing = {"model", "data", "image_size", "classes"} - set(notes)
    if missing:
        raise CheckpointError(
            f"{str(options.checkpoint)!r} does not say which network it belongs to (no {', '.join(sorted(missing))} in its header). "
            "Fix: a file written by `tinygrad-edu train`."
        )
    images = digits_data.load_images(options.data or notes["data"], options.root, download=not options.no_download)
    model = networks.build(notes["model"], int(notes["image_size"]), len(notes["classes"].split(",")))
    model.load_state_dict(state)
    if images.image_size != int(notes["image_size"]):
        raise ValueError(
            f"the network was trained on {notes['image_size']}x{notes['image_size']} images ({notes['data']}), "
            f"{images.name} has {images.image_size}x{images.image_size}."
        )
    loss, accuracy = evaluate(model, DataLoader(images.test, batch_size=500), nn.CrossEntropyLoss())
    print(f"data: {images.title}")
    print(f"test loss: {loss:.4f}")
    print(f"test accuracy: {accuracy:.2%} on {len(images.test):,} images")
