"""``tinygrad-edu train``: train a network on images, report the test accuracy, draw the learning curve, save the parameters."""

import argparse
import sys
from pathlib import Path
from typing import Any

from tinygrad_edu.cli import digits_data, networks

__all__ = ["add_command", "run", "train_network"]


def positive(kind: type) -> Any:
    """Return an argument type that accepts numbers above zero."""

    def read(text: str) -> Any:
        value = kind(text)
        if not value > 0:
            raise argparse.ArgumentTypeError(f"must be above 0, got {text}")
        return value

    read.__name__ = kind.__name__
    return read


def add_command(commands: Any) -> None:
    """Describe the command's arguments."""
    command = commands.add_parser("train", help="train a network on handwritten digits or clothes")
    command.add_argument("--model", choices=networks.NAMES, default="cnn")
    command.add_argument("--data", choices=digits_data.NAMES, default="mnist")
    command.add_argument(
        "--root", type=Path, help="folder with the MNIST files (default: $TINYGRAD_EDU_DATA, else downloaded)"
    )
    command.add_argument("--no-download", action="store_true", help="never touch the network")
    command.add_argument("--epochs", type=positive(int), help="passes over the training images (default: 5, digits 30)")
    command.add_argument("--batch-size", type=positive(int), default=50)
    command.add_argument("--lr", type=positive(float), help="learning rate (default: the optimizer's usual one)")
    command.add_argument("--optimizer", choices=networks.OPTIMIZERS, default="adam")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--save", type=Path, metavar="FILE", help="checkpoint (default: OUT/model.safetensors)")
    command.add_argument(
        "--out", type=Path, default=Path("out"), help="folder for the pictures and the checkpoint (default: out)"
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Execute the command."""
    check_folder(options.out)
    if options.save is not None:
        check_folder(options.save.parent)
    images = digits_data.load_images(options.data, options.root, download=not options.no_download)
    train_network(images, options)


def check_folder(folder: Path) -> None:
    """Make the folder and prove that it can be written to, before minutes are spent on training."""
    import tempfile

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or error
        raise OSError(
            f"cannot write into the folder {str(folder)!r}: {reason}. Fix: choose another with --out."
        ) from error


def train_network(images: digits_data.Images, options: argparse.Namespace) -> Any:
    """Train, evaluate on the test images, write the curve and the checkpoint; returns the model."""
    import tinygrad_edu as tg
    from tinygrad_edu.train import evaluate, fit
    from tinygrad_edu.utils.data import DataLoader, random_split
    from tinygrad_edu.utils.serialization import save
    from tinygrad_edu.utils.summary import summary

    tg.manual_seed(options.seed)
    model = networks.build(options.model, images.image_size, len(images.classes))
    print(f"data: {images.title}")
    print(summary(model, (1, 1, images.image_size, images.image_size), channels_last=True))
    # A tenth of the training images is held out to watch for overfitting; the test images are looked at once, at the end.
    held_out = len(images.train) // 10
    train_set, validation_set = random_split(images.train, [len(images.train) - held_out, held_out])
    loaders = [
        DataLoader(part, batch_size=size, shuffle=shuffle)
        for part, size, shuffle in (
            (train_set, options.batch_size, True),
            (validation_set, 500, False),
            (images.test, 500, False),
        )
    ]
    loss_function = tg.nn.CrossEntropyLoss()
    optimizer = networks.optimizer(options.optimizer, model, options.lr)
    epochs = options.epochs or (30 if images.name == "digits" else 5)
    history = fit(
        model, loaders[0], loss_function, optimizer, epochs=epochs, validation_loader=loaders[1], progress=sys.stderr.isatty(),
        after_epoch=lambda epoch: print(epoch, flush=True),
    )  # fmt: skip
    _, accuracy = evaluate(model, loaders[2], loss_function)
    print(f"test accuracy: {accuracy:.2%} on {len(images.test):,} images never trained on")
    notes = {
        "model": options.model,
        "data": images.name,
        "image_size": str(images.image_size),
        "classes": ",".join(images.classes),
    }
    saved = save(model.state_dict(), options.save or options.out / "model.safetensors", notes)
    print(f"parameters: {saved}")
    draw_curve(
        history, options.out / "training-curve.png", f"{options.model} on {images.name}: test accuracy {accuracy:.2%}"
    )
    return model


def draw_curve(history: Any, path: Path, title: str) -> None:
    """Write the picture of loss and accuracy over the epochs."""
    from tinygrad_edu.visualize import draw_training

    plot = draw_training(
        history.loss,
        history.validation_loss,
        accuracy=history.accuracy,
        validation_accuracy=history.validation_accuracy,
        title=title,
    )
    print(f"learning curve: {plot.save(path)}")
