"""Lessons on files: data sets and checkpoints, E501 to E504."""

from tinygrad_edu.lessons.lesson import Lesson

__all__ = ["LESSONS"]

LESSONS = (
    Lesson(
        "E501",
        "A data set is not there",
        """
The data sets are not part of the package. They are looked for in the folder you name, in $TINYGRAD_EDU_DATA and in the cache, and
downloaded if that is allowed and possible. The message lists where it looked and which files to put where by hand, for classrooms without a
network. datasets.Digits, 1,797 real digits of 8x8 pixels, comes with scikit-learn and needs no download.
""",
        """
import tempfile
from tinygrad_edu import datasets

with tempfile.TemporaryDirectory() as folder:
    datasets.MNIST(folder, train=True, download=False)
""",
        """
from tinygrad_edu import datasets

digits = datasets.Digits(train=True)
""",
    ),
    Lesson(
        "E502",
        "A data file is damaged",
        """
Every file is compared with the checksum of the original before it is used. A file that was cut short by a broken download, or replaced by
something else, would give wrong numbers or a strange error much later. It is not used; delete it and let it be downloaded again. PyTorch's
data sets download such a file anew, or fail when they read it.
""",
        """
import tempfile
from pathlib import Path
from tinygrad_edu import datasets

with tempfile.TemporaryDirectory() as folder:
    files = Path(folder) / "MNIST" / "raw"
    files.mkdir(parents=True)
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        (files / f"{name}.gz").write_bytes(b"half a file")
    datasets.MNIST(folder, train=True, download=False)
""",
        """
from tinygrad_edu import datasets

digits = datasets.Digits(train=True)
""",
    ),
    Lesson(
        "E503",
        "A checkpoint does not fit the model",
        """
A state_dict holds values by name: "0.weight", "fc1.bias". It can be loaded into a model of the same structure and the same sizes; anything
else is refused as a whole, so that no half-loaded model remains. The message sorts the names: missing, unexpected, of another shape. If all
names differ only by something in front, such as "model.", it says so and how to take that off. PyTorch prints the full lists.
""",
        """
import tinygrad_edu as tg

saved = tg.nn.Linear(4, 2).state_dict()
tg.nn.Linear(4, 3).load_state_dict(saved)
""",
        """
import tinygrad_edu as tg

saved = tg.nn.Linear(4, 2).state_dict()
tg.nn.Linear(4, 2).load_state_dict(saved)
""",
    ),
    Lesson(
        "E504",
        "A file that is no checkpoint",
        """
Checkpoints are safetensors files: numbers with names, and nothing that could be executed. A pickle, as PyTorch's .pt files are, may run any
program when it is opened, so those are not read. The same message comes for a file that was cut short. Convert a .pt file once, with
PyTorch and the safetensors library, where you trust it.
""",
        """
import pickle
import tempfile
from pathlib import Path
import tinygrad_edu as tg

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "model.pt"
    path.write_bytes(pickle.dumps({"weight": [1.0, 2.0]}))
    tg.load(path)
""",
        """
import tempfile
from pathlib import Path
import tinygrad_edu as tg

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "model.safetensors"
    tg.save({"weight": tg.tensor([1.0, 2.0])}, path)
    tg.load(path)
""",
    ),
)
