"""The course's trainings: the recipes say what the course says, every one runs, and the quick ones learn what they should."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.train import runs
from tinygrad_edu.cli import course as command
from tinygrad_edu.cli import main
from tinygrad_edu.cli.digits_data import load_images
from tinygrad_edu.course import RECIPES, Figures, perform
from tinygrad_edu.course.experiment import split, training_loader
from tinygrad_edu.utils.data import TensorDataset

# batch size, epochs, images to train on and to validate with, parameters
FACTS = {
    "E1": (100, 1, 60_000, 0, 7_850),
    "E2": (10, 100, 1_000, 200, 23_860),
    "E3": (20, 100, 50_000, 10_000, 23_860),
    "E4": (128, 5, 60_000, 0, 407_050),
    "E5": (20, 30, 50_000, 10_000, 289_630),
    "E6": (50, 20, 60_000, 0, 259_106),
    "E7": (100, 8, 60_000, 0, 3_274_634),
    "E8": (50, 20, 60_000, 0, 61_706),
    "E9": (20, 1, 50_000, 10_000, 289_630),
}


def blank(n: int, size: int = 28) -> TensorDataset:
    return TensorDataset(tg.zeros(n, 1, size, size), tg.arange(n) % 10)


@pytest.mark.parametrize("name", FACTS)
def test_recipes_say_what_the_course_says(name):
    recipe = RECIPES[name]
    model = recipe.network()
    parameters = sum(p.numel() for p in model.parameters())
    assert (recipe.batch_size, recipe.epochs, recipe.train_images, recipe.validation_images, parameters) == FACTS[name]
    outputs = model(tg.zeros(2, 1, 28, 28))
    assert outputs.shape == (2, 10)
    assert recipe.loss(outputs, tg.tensor([0, 1])).ndim == 0


def test_the_command_knows_every_recipe():
    assert tuple(RECIPES) == command.NAMES == tuple(FACTS)


def test_starting_weights():
    tg.manual_seed(0)
    e3 = RECIPES["E3"].network()
    limit = (6 / (784 + 30)) ** 0.5
    weights = e3.fc1.weight.detach().numpy()
    assert abs(weights).max() <= limit and abs(weights).max() > 0.99 * limit and abs(weights.mean()) < limit / 50
    assert not e3.fc1.bias.detach().numpy().any()
    assert not any(p.detach().numpy().any() for p in RECIPES["E1"].network().parameters())


def test_the_loss_of_e2_is_the_squared_distance_to_one_hot():
    outputs = tg.rand(4, 10)
    targets = tg.tensor([3, 0, 9, 9])
    expected = ((outputs.numpy() - np.eye(10)[targets.numpy()]) ** 2).mean()
    assert RECIPES["E2"].loss(outputs, targets).item() == pytest.approx(expected, rel=1e-6)


def test_digits_are_between_0_and_1_too():
    pixels = load_images("digits").train.tensors[0].numpy()
    assert pixels.min() == 0.0 and pixels.max() == 1.0


def test_the_split():
    numbered = TensorDataset(tg.arange(120).float().reshape(120, 1, 1, 1) * tg.ones(1, 1, 28, 28), tg.arange(120))
    parts = split(replace(RECIPES["E3"], train_images=50, validation_images=10), numbered, blank(7))
    assert [part.tensors[1].tolist() for part in parts[:2]] == [list(range(50)), list(range(50, 60))]
    assert len(parts[2]) == 7
    # Of fewer images than wanted, the same shares; small pictures are brought to size.
    parts = split(RECIPES["E3"], blank(120, size=8), blank(7, size=8))
    assert [len(part) for part in parts] == [100, 20, 7]
    assert all(part.tensors[0].shape[1:] == (1, 28, 28) for part in parts)


def test_e1_draws_1000_batches_of_100():
    batches = [labels for _, labels in training_loader(RECIPES["E1"], blank(60_000, size=1))]
    assert len(batches) == 1000 and all(len(labels) == 100 for labels in batches)


def test_e6_enlarges_its_data():
    images = runs.digits(50)
    images = split(RECIPES["E6"], images, images)[0]
    first, second = (np.concatenate([x.numpy() for x, _ in training_loader(RECIPES["E6"], images)]) for _ in range(2))
    plain = {image.tobytes() for image in images.tensors[0].numpy()}
    assert not any(image.tobytes() in plain for image in np.concatenate([first, second]))
    assert abs(first.mean() - images.tensors[0].numpy().mean()) < 0.02


def test_perform_measures_and_compares():
    recipe = replace(RECIPES["E3"], train_images=1000, validation_images=200, epochs=8, batch_size=10)
    images = load_images("digits")
    seen = []
    result = perform(recipe, images.train, images.test, after_epoch=seen.append)
    assert [epoch.number for epoch in seen] == list(range(1, 9)) == result.history.number
    figures = result.figures
    assert figures.first_train == seen[0].accuracy and figures.validation == seen[-1].validation_accuracy
    assert 0.85 <= figures.test <= 1.0 and figures.seconds > 0
    again = perform(recipe, images.train, images.test)
    assert again.figures.test == figures.test, "one seed, one result"
    other = perform(recipe, images.train, images.test, seed=1)
    assert other.history.loss != result.history.loss
    rows = result.table().splitlines()
    assert rows[0].split() == ["E3", "measured", "course"]
    assert rows[1].split()[-2:] == [f"{figures.first_train:.2%}", "82.61%"] and rows[-1].split()[0] == "seconds"
    assert "-" in replace(result, recipe=replace(recipe, course=Figures())).table()


def test_the_list(capsys):
    assert main(["course"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(RECIPES)


def test_arguments_that_are_wrong(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("TINYGRAD_EDU_DATA", raising=False)
    with pytest.raises(SystemExit):
        main(["course", "E99"])
    capsys.readouterr()
    assert main(["course", "E2", "--quick", "--root", str(tmp_path), "--no-download"]) == 1
    assert "train-images-idx3-ubyte" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_every_training_runs_quickly_on_the_digits(name, tmp_path):
    env = {k: v for k, v in os.environ.items() if k != "TINYGRAD_EDU_DATA"} | {"XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "tinygrad_edu.cli", "course", name.lower(), "--quick", "--no-download"],
        capture_output=True, text=True, timeout=300, check=False, env=env, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "1,797 real" in done.stdout and "brought to 28x28" in done.stdout and "a quick run" in done.stdout
    assert f"{FACTS[name][4]:,}" in done.stdout
    accuracy = float(done.stdout.split("test images")[1].split("%")[0])
    assert accuracy > (15.0 if name == "E2" else 30.0)  # ten classes; the sigmoids with squared error start slowly


@pytest.mark.slow
def test_on_mnist_the_short_trainings_give_the_courses_figures(mnist_root):
    images = load_images("mnist", mnist_root)
    for name, least in (("E1", 0.905), ("E2", 0.85), ("E4", 0.975)):
        result = perform(RECIPES[name], images.train, images.test)
        assert result.figures.test >= least, result.table()


@pytest.mark.slow
def test_a_training_goes_on_where_it_was(tmp_path, capsys, mnist_root):
    arguments = [
        "course",
        "E2",
        "--quick",
        "--root",
        str(mnist_root),
        "--checkpoint",
        str(tmp_path / "run.safetensors"),
    ]
    tables = []
    for extra in ([], ["--resume"]):
        assert main([*arguments, *extra]) == 0
        tables.append(capsys.readouterr().out)
    assert tables[0].count("epoch 2: loss") == 1 and "epoch 2: loss" not in tables[1]
    assert tables[0].split("test images")[1].split()[0] == tables[1].split("test images")[1].split()[0]
