"""``tinygrad-edu demo``: the whole tour in one command: train the CNN on real digits, draw its curve, its layers and a graph."""

import argparse
from pathlib import Path
from typing import Any

from tinygrad_edu.cli import digits_data, graph, train

__all__ = ["add_command", "run"]


def add_command(commands: Any) -> None:
    """Describe the command's arguments."""
    command = commands.add_parser("demo", help="train the CNN on handwritten digits and draw what happened")
    command.add_argument(
        "--root", type=Path, help="folder with the MNIST files (default: $TINYGRAD_EDU_DATA, else downloaded)"
    )
    command.add_argument("--no-download", action="store_true", help="never touch the network")
    command.add_argument(
        "--epochs", type=train.positive(int), help="passes over the training images (default: 5, digits 30)"
    )
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--out", type=Path, default=Path("out"), help="folder for what is written (default: out)")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Execute the command."""
    train.check_folder(options.out)
    drawing, facts = graph.draw(graph.COURSE_FUNCTION, {"x": 3, "y": 2})
    print("f(x, y) = x^2 + xy + (x+y)^2 at x = 3, y = 2:")
    print(facts)
    for ending in ("svg", "png"):
        print(f"graph: {drawing.save(options.out / f'graph-of-f.{ending}')}")
    images = mnist_or_digits(options)
    options.model, options.optimizer, options.lr, options.batch_size, options.save = "cnn", "adam", None, 50, None
    model = train.train_network(images, options)
    draw_network(model, images.image_size, options.out)


def mnist_or_digits(options: argparse.Namespace) -> digits_data.Images:
    """Load MNIST where it is given or can be downloaded; else scikit-learn's digits, and say so."""
    try:
        return digits_data.load_images("mnist", options.root, download=not options.no_download)
    except (RuntimeError, OSError) as error:
        if options.root is not None:
            raise  # a folder was named: do not quietly use something else
        print(f"MNIST is not here and could not be downloaded ({str(error).splitlines()[0][:200]})")
        print("using scikit-learn's 1,797 real 8x8 digits instead")
        return digits_data.load_images("digits")


def draw_network(model: Any, image_size: int, out: Path) -> None:
    """Write the picture of the layers."""
    from tinygrad_edu.visualize.network_picture import draw_network as draw

    drawing = draw(model, (1, 1, image_size, image_size))
    for ending in ("svg", "png"):
        print(f"network: {drawing.save(out / f'network.{ending}')}")
