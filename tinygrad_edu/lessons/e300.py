"""Lessons on the training loop: E301 to E307."""

from tinygrad_edu.lessons.lesson import Lesson

__all__ = ["LESSONS"]

LESSONS = (
    Lesson(
        "E301",
        "The gradients of the step before were not forgotten",
        """
backward() adds to .grad. That is what makes it possible to gather the gradient of a large batch in several parts, but from one step to the
next the old gradient, taken at another place, has no business in the sum: the steps become longer and longer and point the wrong way.
Call optimizer.zero_grad() once for every step. PyTorch says nothing. Several backward() before one step are fine and not warned of.
""",
        """
import tinygrad_edu as tg

w = tg.tensor([1., 2.], requires_grad=True)
optimizer = tg.optim.SGD([w], lr=0.1)
for step in range(3):
    loss = (w * w).sum()
    loss.backward()
    optimizer.step()
""",
        """
import tinygrad_edu as tg

w = tg.tensor([1., 2.], requires_grad=True)
optimizer = tg.optim.SGD([w], lr=0.1)
for step in range(3):
    optimizer.zero_grad()
    loss = (w * w).sum()
    loss.backward()
    optimizer.step()
""",
    ),
    Lesson(
        "E302",
        "zero_grad() between backward() and step()",
        """
The three calls hand something on: backward() fills .grad, step() uses it, zero_grad() empties it. With zero_grad() in the middle there is
nothing left to use, step() changes no parameter, and the loss stays where it is. PyTorch says nothing.
""",
        """
import tinygrad_edu as tg

w = tg.tensor([1., 2.], requires_grad=True)
optimizer = tg.optim.SGD([w], lr=0.1)
(w * w).sum().backward()
optimizer.zero_grad()
optimizer.step()
""",
        """
import tinygrad_edu as tg

w = tg.tensor([1., 2.], requires_grad=True)
optimizer = tg.optim.SGD([w], lr=0.1)
optimizer.zero_grad()
(w * w).sum().backward()
optimizer.step()
""",
    ),
    Lesson(
        "E303",
        "An optimizer without parameters",
        """
model.parameters() is a generator: it can be gone through once. If a loop, a sum or a print has used it up, the optimizer finds nothing
left. The other cause is a model whose layers sit in a plain Python list, where they are not found (E120). PyTorch says "optimizer got an
empty parameter list".
""",
        """
import tinygrad_edu as tg

model = tg.nn.Linear(4, 2)
parameters = model.parameters()
count = sum(p.numel() for p in parameters)
optimizer = tg.optim.SGD(parameters, lr=0.1)
""",
        """
import tinygrad_edu as tg

model = tg.nn.Linear(4, 2)
count = sum(p.numel() for p in model.parameters())
optimizer = tg.optim.SGD(model.parameters(), lr=0.1)
""",
    ),
    Lesson(
        "E304",
        "The optimizer holds other parameters than the model",
        """
An optimizer keeps the tensors it was given. A layer that is put into the model later has new ones, which it never sees: that layer stays
as it was initialised, while the optimizer goes on changing tensors that nobody uses. PyTorch says nothing, and here too every single line is
right, so it must be asked for: tg.check(model, optimizer, loss) compares the lists, and looks for other mistakes that can be proved.
""",
        """
import tinygrad_edu as tg
from tinygrad_edu import nn

model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 10))
optimizer = tg.optim.SGD(model.parameters(), lr=0.1)
model[2] = nn.Linear(8, 2)
report = tg.check(model, optimizer)
assert not report, report
""",
        """
import tinygrad_edu as tg
from tinygrad_edu import nn

model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 10))
model[2] = nn.Linear(8, 2)
optimizer = tg.optim.SGD(model.parameters(), lr=0.1)
report = tg.check(model, optimizer)
assert not report, report
""",
    ),
    Lesson(
        "E305",
        "Evaluation in training mode",
        """
Dropout and batch norm do different things in training and in use: dropout switches values off only while training, batch norm uses the
batch's own statistics while training and the collected ones afterwards. no_grad() does not switch that, it only stops the recording.
Without model.eval() the measured accuracy is that of a damaged network, and batch norm goes on learning from the test data. PyTorch says
nothing. Here it is said when values from such a layer reach a loss, or are compared with labels, under no_grad().
""",
        """
import tinygrad_edu as tg
from tinygrad_edu import nn

model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))
x, labels = tg.ones(6, 4), tg.tensor([0, 1, 2, 0, 1, 2])
with tg.no_grad():
    right = (model(x).argmax(1) == labels).sum()
""",
        """
import tinygrad_edu as tg
from tinygrad_edu import nn

model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))
x, labels = tg.ones(6, 4), tg.tensor([0, 1, 2, 0, 1, 2])
model.eval()
with tg.no_grad():
    right = (model(x).argmax(1) == labels).sum()
""",
    ),
    Lesson(
        "E306",
        "Training goes on in evaluation mode",
        """
model.eval() before measuring stays in force until model.train(). When the evaluation stands inside the loop over epochs and train() before
it, only the first epoch trains with dropout and batch norm at work; all others train without. PyTorch says nothing. Put model.train() at
the beginning of every epoch. Single layers that are kept in evaluation mode on purpose, inside a model that trains, are not warned of.
""",
        """
import tinygrad_edu as tg
from tinygrad_edu import nn

model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
optimizer = tg.optim.SGD(model.parameters(), lr=0.01)
model.train()
for epoch in range(2):
    optimizer.zero_grad()
    model(tg.ones(6, 4)).mean().backward()
    optimizer.step()
    model.eval()
""",
        """
import tinygrad_edu as tg
from tinygrad_edu import nn

model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
optimizer = tg.optim.SGD(model.parameters(), lr=0.01)
for epoch in range(2):
    model.train()
    optimizer.zero_grad()
    model(tg.ones(6, 4)).mean().backward()
    optimizer.step()
    model.eval()
""",
    ),
    Lesson(
        "E307",
        "The schedule moves before the first step",
        """
A schedule sets the learning rate of the steps that follow. Moved on before the first step, it skips the first rate, and every later one
comes a step too early. The order is backward, optimizer.step(), scheduler.step(). PyTorch warns too.
""",
        """
import tinygrad_edu as tg

w = tg.tensor([1., 2.], requires_grad=True)
optimizer = tg.optim.SGD([w], lr=0.1)
scheduler = tg.optim.lr_scheduler.StepLR(optimizer, step_size=1)
for epoch in range(2):
    scheduler.step()
    optimizer.zero_grad()
    (w * w).sum().backward()
    optimizer.step()
""",
        """
import tinygrad_edu as tg

w = tg.tensor([1., 2.], requires_grad=True)
optimizer = tg.optim.SGD([w], lr=0.1)
scheduler = tg.optim.lr_scheduler.StepLR(optimizer, step_size=1)
for epoch in range(2):
    optimizer.zero_grad()
    (w * w).sum().backward()
    optimizer.step()
    scheduler.step()
""",
    ),
)
