"""Lessons on shapes and values: E101 to E114."""

from tinygrad_edu.lessons.lesson import Lesson

__all__ = ["LESSONS"]

LESSONS = (
    Lesson(
        "E101",
        "The inner sizes of a matrix product differ",
        """
A product of matrices takes (N, K) times (K, M): every row of the left one meets every column of the right one, so both must have K
elements. A layer nn.Linear(K, M) is such a product, therefore its in_features must be the last size of what comes in. The message names
both shapes, the two sizes that differ and, inside a network, the layer. PyTorch refuses too, with "mat1 and mat2 shapes cannot be
multiplied".
""",
        """
import tinygrad_edu as tg
from tinygrad_edu import nn

model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(10, 2))
model(tg.ones(5, 4))
""",
        """
import tinygrad_edu as tg
from tinygrad_edu import nn

model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
model(tg.ones(5, 4))
""",
    ),
    Lesson(
        "E102",
        "Images go into a fully connected layer without flattening",
        """
A convolution gives (N, channels, height, width); a fully connected layer wants (N, features). The numbers are the same, only their
arrangement is not: x.flatten(1) keeps the first dimension, the batch, and lays everything else in one row. Flattening with flatten() or
view(-1) would mix the samples of the batch into one. PyTorch gives the same message as for any two sizes that differ.
""",
        """
import tinygrad_edu as tg
from tinygrad_edu import nn

features = nn.Conv2d(1, 20, 5)(tg.ones(6, 1, 8, 8))
nn.Linear(320, 50)(features)
""",
        """
import tinygrad_edu as tg
from tinygrad_edu import nn

features = nn.Conv2d(1, 20, 5)(tg.ones(6, 1, 8, 8))
nn.Linear(320, 50)(features.flatten(1))
""",
    ),
    Lesson(
        "E103",
        "Predictions (N, 1) meet targets (N,)",
        """
A layer with one output gives a column (N, 1), and targets are often a plain list (N,). Their difference broadcasts: the column is
repeated to the right, the list downwards, and every prediction is compared with every target, N * N numbers. The loss looks reasonable
and training settles at the mean of all targets. PyTorch warns in the same place; in a yes-or-no loss both refuse.
""",
        """
import tinygrad_edu as tg
from tinygrad_edu import nn

x, target = tg.ones(8, 3), tg.ones(8)
prediction = nn.Linear(3, 1)(x)
nn.functional.mse_loss(prediction, target)
""",
        """
import tinygrad_edu as tg
from tinygrad_edu import nn

x, target = tg.ones(8, 3), tg.ones(8)
prediction = nn.Linear(3, 1)(x).squeeze(1)
nn.functional.mse_loss(prediction, target)
""",
    ),
    Lesson(
        "E104",
        "Two shapes do not broadcast",
        """
Elementwise operations line shapes up from the right. Two sizes fit if they are equal or one of them is 1, which is then repeated; a
missing size on the left counts as 1. So (2, 3) and (3,) fit, (2, 3) and (2,) do not: the 2 stands under the 3. A size 1 put in the right
place with unsqueeze says what is meant. PyTorch has the same rules and the same refusal.
""",
        """
import tinygrad_edu as tg

rows = tg.ones(2, 3)
one_number_per_row = tg.ones(2)
rows * one_number_per_row
""",
        """
import tinygrad_edu as tg

rows = tg.ones(2, 3)
one_number_per_row = tg.ones(2)
rows * one_number_per_row.unsqueeze(1)
""",
    ),
    Lesson(
        "E105",
        "Softmax before cross-entropy",
        """
cross_entropy takes scores (logits) and applies log-softmax itself, because both steps together can be computed without overflow. With a
softmax in front, the second one sees numbers between 0 and 1 only, so it can never become certain: the loss stops far from zero, the
gradients are small, and learning is slow. Nothing is broken visibly, and PyTorch says nothing. Leave the last layer bare, and take the
softmax only where you want to look at probabilities.
""",
        """
import tinygrad_edu as tg
from tinygrad_edu import nn

model = nn.Sequential(nn.Linear(4, 3), nn.Softmax(dim=1))
nn.CrossEntropyLoss()(model(tg.ones(2, 4)), tg.tensor([0, 2]))
""",
        """
import tinygrad_edu as tg
from tinygrad_edu import nn

model = nn.Linear(4, 3)
nn.CrossEntropyLoss()(model(tg.ones(2, 4)), tg.tensor([0, 2]))
""",
    ),
    Lesson(
        "E106",
        "nll_loss on something that is no logarithm",
        """
nll_loss only picks, for each sample, minus the number at its class; the name holds if these numbers are logarithms of probabilities,
which are never above 0. Of probabilities it makes a loss between -1 and 0, of raw scores one without a lower bound that training drives
to minus infinity. PyTorch computes both without a word. log_softmax followed by nll_loss is the same as cross_entropy on the scores.
""",
        """
import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F

scores = tg.nn.Linear(4, 3)(tg.ones(2, 4))
F.nll_loss(F.softmax(scores, dim=1), tg.tensor([0, 2]))
""",
        """
import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F

scores = tg.nn.Linear(4, 3)(tg.ones(2, 4))
F.nll_loss(F.log_softmax(scores, dim=1), tg.tensor([0, 2]))
""",
    ),
    Lesson(
        "E107",
        "A label outside the classes",
        """
With C outputs the classes are numbered 0 to C-1, as Python counts. Labels from 1 to C are one too high and the last class falls outside;
values up to 255 are usually the pixels of an image passed in the place of its labels. The message gives the first wrong position, its
value, and the range of all labels. PyTorch says "Target 3 is out of bounds".
""",
        """
import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F

scores = tg.zeros(3, 3)
labels = tg.tensor([1, 2, 3])
F.cross_entropy(scores, labels)
""",
        """
import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F

scores = tg.zeros(3, 3)
labels = tg.tensor([1, 2, 3])
F.cross_entropy(scores, labels - 1)
""",
    ),
    Lesson(
        "E108",
        "Labels of the wrong form",
        """
cross_entropy takes targets in two forms: class numbers, whole numbers (int64) of shape (N,), or probabilities, floating-point numbers of
the same shape (N, C) as the scores. Labels read from a table are often floating-point, one-hot rows are often whole numbers; both lie
between the two forms. label.long() makes class numbers of the first, one_hot.float() probabilities of the second, one_hot.argmax(1) class
numbers again. PyTorch's message speaks of dtypes only.
""",
        """
import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F

scores = tg.zeros(2, 3)
one_hot = tg.tensor([[1, 0, 0], [0, 0, 1]])
F.cross_entropy(scores, one_hot)
""",
        """
import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F

scores = tg.zeros(2, 3)
one_hot = tg.tensor([[1, 0, 0], [0, 0, 1]])
F.cross_entropy(scores, one_hot.argmax(1))
F.cross_entropy(scores, one_hot.float())
""",
    ),
    Lesson(
        "E109",
        "float64 from NumPy meets float32 weights",
        """
NumPy's numbers are float64 unless told otherwise, and tg.from_numpy and tg.tensor keep what they are given; layers are float32, which is
half as large and faster. A product of both is refused, as in PyTorch, because silently computing in float64 would cost speed and silently
rounding would cost digits. Convert the data once, where it is loaded, with .float(); or make the model.double() if the digits are needed.
""",
        """
import numpy as np
import tinygrad_edu as tg

x = tg.from_numpy(np.ones((5, 4)))
tg.nn.Linear(4, 2)(x)
""",
        """
import numpy as np
import tinygrad_edu as tg

x = tg.from_numpy(np.ones((5, 4))).float()
tg.nn.Linear(4, 2)(x)
""",
    ),
    Lesson(
        "E110",
        "Whole numbers cannot require a gradient",
        """
A derivative asks what happens when a number changes a little, and a whole number cannot change a little. tg.tensor([1, 2, 3]) holds int64
because Python's numbers are whole; a decimal point makes floating-point numbers of them. PyTorch refuses in the same way.
""",
        """
import tinygrad_edu as tg

w = tg.tensor([1, 2, 3], requires_grad=True)
""",
        """
import tinygrad_edu as tg

w = tg.tensor([1., 2., 3.], requires_grad=True)
""",
    ),
    Lesson(
        "E111",
        "A reshape to another number of elements",
        """
reshape and view arrange the same numbers anew, so the product of the lengths must stay what it is. One length may be -1 and is worked out.
In networks the mistake is usually a size counted by hand, for instance after another kernel size; x.flatten(1) keeps the batch and needs
no counting. PyTorch says "shape is invalid for input of size".
""",
        """
import tinygrad_edu as tg

images = tg.ones(10, 1, 28, 28)
images.view(10, 700)
""",
        """
import tinygrad_edu as tg

images = tg.ones(10, 1, 28, 28)
images.view(10, -1)
images.flatten(1)
""",
    ),
    Lesson(
        "E112",
        "Batch norm on a single sample",
        """
In training mode batch norm subtracts the batch's mean and divides by its standard deviation, channel by channel. One value is its own mean
and has no deviation, so the result would be 0 whatever the input. It happens with a batch of one, often the last, incomplete batch of an
epoch: DataLoader(..., drop_last=True) leaves that out. In evaluation mode the running statistics are used and one sample is fine. PyTorch
refuses too.
""",
        """
import tinygrad_edu as tg

layer = tg.nn.BatchNorm1d(4)
layer(tg.ones(1, 4))
""",
        """
import tinygrad_edu as tg

layer = tg.nn.BatchNorm1d(4)
layer(tg.ones(2, 4))
layer.eval()(tg.ones(1, 4))
""",
    ),
    Lesson(
        "E113",
        "The channels of an image are in the wrong place",
        """
Convolutions want images as (N, C, H, W): batch, channels, height, width. Files and NumPy usually hold (H, W, C), which permute brings into
order; a batch of grey pictures (N, H, W) lacks its channel dimension, which unsqueeze(1) adds. PyTorch's message counts channels and does
not say that they are elsewhere.
""",
        """
import tinygrad_edu as tg

photos = tg.ones(5, 32, 32, 3)
tg.nn.Conv2d(3, 8, 5)(photos)
""",
        """
import tinygrad_edu as tg

photos = tg.ones(5, 32, 32, 3)
tg.nn.Conv2d(3, 8, 5)(photos.permute(0, 3, 1, 2))
""",
    ),
    Lesson(
        "E114",
        "The kernel is larger than the image",
        """
Every convolution without padding makes the image smaller by kernel_size - 1, and every pooling by 2 halves it. After a few of them nothing
is left for the next kernel to lie on. The message shows the sizes so far: take a layer out, or give the convolutions padding. PyTorch
names the last two sizes only.
""",
        """
import tinygrad_edu as tg
from tinygrad_edu import nn

model = nn.Sequential(nn.Conv2d(1, 4, 5), nn.MaxPool2d(2), nn.Conv2d(4, 8, 5))
model(tg.ones(2, 1, 10, 10))
""",
        """
import tinygrad_edu as tg
from tinygrad_edu import nn

model = nn.Sequential(nn.Conv2d(1, 4, 5, padding=2), nn.MaxPool2d(2), nn.Conv2d(4, 8, 5))
model(tg.ones(2, 1, 10, 10))
""",
    ),
)
