"""One small training that uses every source of chance and every kind of state; as a program it can be killed and taken up again."""

import sys

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.datasets import Digits, Transformed, transforms
from tinygrad_edu.train import EarlyStopping, ModelCheckpoint, fit
from tinygrad_edu.utils.data import DataLoader, TensorDataset

EPOCHS = 4


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.3), nn.Linear(36, 10)
    )  # fmt: skip


def digits(count: int, train: bool = True) -> TensorDataset:
    data = Digits(train=train)
    images = data.data.float().div(255).unsqueeze(1)
    return TensorDataset(images[:count], data.targets[:count])


def run(path=None, *, resume=False, every=3, workers=0, generator=False, epochs=EPOCHS, best=None, callbacks=()):
    """Return the model, the optimizer and the history at the end of a run."""
    tg.manual_seed(0)
    images = Transformed(digits(300), transforms.RandomAffine(10, translate=(0.1, 0.1), interpolation="bilinear"))
    own = tg.Generator().manual_seed(5) if generator else None
    loader = DataLoader(images, batch_size=20, shuffle=True, num_workers=workers, generator=own)
    model = network()
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.02, total_steps=15 * epochs)
    watching = [EarlyStopping(patience=50, restore_best=True)]
    watching += [] if best is None else [ModelCheckpoint(best)]
    history = fit(
        model, loader, nn.CrossEntropyLoss(), optimizer, epochs=epochs, scheduler=schedule, scheduler_every="batch",
        validation_loader=DataLoader(digits(100, train=False), batch_size=50), progress=False,
        callbacks=[*watching, *callbacks], checkpoint=path, checkpoint_every=every if path else None, resume=resume,
    )  # fmt: skip
    return model, optimizer, history


def everything(model, optimizer, history) -> dict[str, np.ndarray]:
    """Return all numbers that a run ends with, but for the seconds."""
    numbers = {f"model {name}": value.numpy() for name, value in model.state_dict().items()}
    for key, kept in optimizer.state_dict()["state"].items():
        numbers |= {f"optimizer {key} {name}": np.asarray(value) for name, value in kept.items()}
    for name in ("loss", "accuracy", "validation_loss", "validation_accuracy", "rate"):
        numbers[f"history {name}"] = np.array(getattr(history, name), float)
    numbers["random numbers"] = tg.get_rng_state().numpy()
    return numbers


if __name__ == "__main__":
    folder = sys.argv[1]
    outcome = run(f"{folder}/run.safetensors", resume=True, every=1, epochs=12, best=f"{folder}/best.safetensors")
    tg.save({name: tg.tensor(value) for name, value in everything(*outcome).items()}, f"{folder}/end.safetensors")
