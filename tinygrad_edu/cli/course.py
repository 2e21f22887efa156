"""``tinygrad-edu course E5``: one of the course's trainings, and what it gave beside what the course reports."""

import argparse
import sys
from pathlib import Path
from typing import Any

from tinygrad_edu.cli import digits_data

__all__ = ["add_command", "run"]

NAMES = ("E1", "E2", "E3", "E4", "E5", "E6", "E7", "E8", "E9")


def add_command(commands: Any) -> None:
    """Describe the command's arguments."""
    command = commands.add_parser("course", help="train one of the course's networks, E1 to E9, as the course does")
    command.add_argument("experiment", nargs="?", type=str.upper, choices=NAMES, help="which one (default: list them)")
    command.add_argument("--quick", action="store_true", help="fewer images and epochs: does it run?")
    command.add_argument(
        "--root", type=Path, help="folder with the MNIST files (default: $TINYGRAD_EDU_DATA, else downloaded)"
    )
    command.add_argument("--no-download", action="store_true", help="never touch the network")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--checkpoint", type=Path, metavar="FILE", help="write the state of the run after every epoch")
    command.add_argument("--resume", action="store_true", help="go on from the checkpoint, where there is one")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Execute the command."""
    from tinygrad_edu.cli.demo import mnist_or_digits
    from tinygrad_edu.course import RECIPES, perform
    from tinygrad_edu.utils.summary import summary

    if options.experiment is None:
        for recipe in RECIPES.values():
            print(f"{recipe.name}  {recipe.title}")
        return
    recipe = RECIPES[options.experiment]
    recipe = recipe.quick() if options.quick else recipe
    images = mnist_or_digits(options)
    print(f"{recipe.name}: {recipe.title}")
    print(f"data: {images.title}" + ("" if images.image_size == 28 else "; brought to 28x28"))
    print(summary(recipe.network(), (1, 1, 28, 28), channels_last=True))
    result = perform(
        recipe, images.train, images.test, seed=options.seed, after_epoch=lambda epoch: print(epoch, flush=True),
        progress=sys.stderr.isatty(), checkpoint=options.checkpoint, resume=options.resume,
    )  # fmt: skip
    print(result.table())
    remarks = [recipe.note, describe_difference(images, options)]
    print("\n".join(remark for remark in remarks if remark))


def describe_difference(images: digits_data.Images, options: argparse.Namespace) -> str:
    """Say why the figures are not to be compared, where that is so."""
    if options.quick:
        return "a quick run: the figures are not to be compared with the course's"
    if images.name != "mnist":
        return "other images than the course's: the figures are not to be compared"
    return ""
