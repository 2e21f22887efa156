"""Lessons on modules: E120 to E122."""

from tinygrad_edu.lessons.lesson import Lesson

__all__ = ["LESSONS"]

LESSONS = (
    Lesson(
        "E120",
        "Layers hidden in a plain list",
        """
A module finds its parameters by looking at its attributes for parameters and modules. It does not look into Python's lists and dicts, so
layers kept there compute but are not given to the optimizer, not saved and not switched by train() and eval(). PyTorch says nothing, and
the network simply does not learn. nn.ModuleList and nn.ModuleDict behave like a list and a dict, and are looked into.
""",
        """
import tinygrad_edu as tg
from tinygrad_edu import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(4, 4), nn.Linear(4, 2)]

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x

list(Net().parameters())
""",
        """
import tinygrad_edu as tg
from tinygrad_edu import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 2)])

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x

list(Net().parameters())
""",
    ),
    Lesson(
        "E121",
        "A module without forward",
        """
Calling a module runs its method forward. If the name is misspelt, or the method stands outside the class because of its indentation, there
is nothing to run. The message looks for a method with a similar name and gives its line. PyTorch says that the module is missing the
required "forward" function.
""",
        """
import tinygrad_edu as tg
from tinygrad_edu import nn

class Net(nn.Module):
    def foward(self, x):
        return x * 2

Net()(tg.ones(3))
""",
        """
import tinygrad_edu as tg
from tinygrad_edu import nn

class Net(nn.Module):
    def forward(self, x):
        return x * 2

Net()(tg.ones(3))
""",
    ),
    Lesson(
        "E122",
        "A layer is assigned before super().__init__()",
        """
A module writes down which of its attributes are parameters and layers; super().__init__() opens that book. Before it there is nowhere to
write, so the first layer that is assigned fails. Make it the first line of __init__. PyTorch says "cannot assign module before
Module.__init__() call".
""",
        """
import tinygrad_edu as tg
from tinygrad_edu import nn

class Net(nn.Module):
    def __init__(self):
        self.layer = nn.Linear(4, 2)

Net()
""",
        """
import tinygrad_edu as tg
from tinygrad_edu import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)

Net()
""",
    ),
)
