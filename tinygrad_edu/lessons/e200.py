"""Lessons on the graph and its gradients: E201 to E210."""

from tinygrad_edu.lessons.lesson import Lesson

__all__ = ["LESSONS"]

LESSONS = (
    Lesson(
        "E201",
        "A value that backward needs was overwritten",
        """
The derivative of h * h is 2 h, so the multiplication saves h until backward. Writing over h in place, with += or a method that ends in an
underscore, would make the gradient silently wrong; instead every such write is stamped, and backward compares. Use the out-of-place form,
which makes a new tensor and leaves the saved one alone. PyTorch counts versions for the same purpose and names neither the value nor the
line that overwrote it.
""",
        """
import tinygrad_edu as tg

x = tg.tensor([1., 2.], requires_grad=True)
h = x * 2
y = h * h
h += 1
y.sum().backward()
""",
        """
import tinygrad_edu as tg

x = tg.tensor([1., 2.], requires_grad=True)
h = x * 2
y = h * h
h = h + 1
y.sum().backward()
""",
    ),
    Lesson(
        "E202",
        "The .grad of a result of an operation",
        """
backward() computes the gradient of every intermediate result on its way, hands it on and forgets it; only leaves, the tensors you made
with requires_grad=True, keep theirs in .grad. Anything else would hold the memory of the whole network twice. To look at an intermediate
gradient, ask for it before backward with retain_grad(). PyTorch warns as well.
""",
        """
import tinygrad_edu as tg

x = tg.tensor([1., 2.], requires_grad=True)
h = x * 3
(h * h).sum().backward()
h.grad
""",
        """
import tinygrad_edu as tg

x = tg.tensor([1., 2.], requires_grad=True)
h = x * 3
h.retain_grad()
(h * h).sum().backward()
h.grad
""",
    ),
    Lesson(
        "E203",
        "backward() finds no graph",
        """
The graph is recorded from tensors with requires_grad=True onwards. It is cut by detach(), .data, item() and tg.tensor(...), which take the
values only; by argmax, comparisons and conversions to whole numbers, which have no derivative; and by no_grad(). The loss is then a plain
number and nothing leads back from it. The message goes back over your lines and names the one where the way ends. PyTorch says "element 0
of tensors does not require grad and does not have a grad_fn".
""",
        """
import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F

model = tg.nn.Linear(4, 3)
scores = model(tg.ones(2, 4)).detach()
loss = F.cross_entropy(scores, tg.tensor([0, 2]))
loss.backward()
""",
        """
import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F

model = tg.nn.Linear(4, 3)
scores = model(tg.ones(2, 4))
loss = F.cross_entropy(scores, tg.tensor([0, 2]))
loss.backward()
""",
    ),
    Lesson(
        "E204",
        "backward() a second time",
        """
The values that the graph saved are given back as soon as backward has used them, because they are most of the memory of a training step.
So each recorded computation can be gone through once. Usually the loss was computed before a loop and should be computed inside it, or two
losses share a part and should be added before one backward(). Only if both passes are really wanted, retain_graph=True keeps the values.
PyTorch does the same.
""",
        """
import tinygrad_edu as tg

w = tg.tensor(3., requires_grad=True)
loss = w * w
for step in range(2):
    loss.backward()
""",
        """
import tinygrad_edu as tg

w = tg.tensor(3., requires_grad=True)
for step in range(2):
    loss = w * w
    loss.backward()
""",
    ),
    Lesson(
        "E205",
        "backward() on something that is not one number",
        """
A gradient says how one number changes with every parameter. For a result of many numbers there would be one gradient for each, a whole
matrix J, which is hardly ever wanted: reduce the result first, with mean() or sum(). What backward can compute in one pass is v'J, a
weighted sum of these gradients; give the weights v, of the result's shape, as backward(gradient=v). PyTorch says "grad can be implicitly
created only for scalar outputs".
""",
        """
import tinygrad_edu as tg

x = tg.tensor([1., 2., 3.], requires_grad=True)
(x * x).backward()
""",
        """
import tinygrad_edu as tg

x = tg.tensor([1., 2., 3.], requires_grad=True)
(x * x).sum().backward()
(x * x).backward(gradient=tg.tensor([1., 0., 0.]))
""",
    ),
    Lesson(
        "E206",
        "Writing to a part of a parameter while recording",
        """
w[0] is a view: it shares the memory of w. Writing to it while operations are recorded would change the leaf that the graph starts from,
and the gradient with respect to its old values could not be assigned any more. If the write is part of preparing the parameter, do it
inside no_grad(); if it is part of the computation, work on a clone, through which gradients flow back. PyTorch refuses too.
""",
        """
import tinygrad_edu as tg

w = tg.tensor([1., 2., 3.], requires_grad=True)
w[0:2].mul_(2)
""",
        """
import tinygrad_edu as tg

w = tg.tensor([1., 2., 3.], requires_grad=True)
with tg.no_grad():
    w[0:2].mul_(2)
changed = w.clone()
changed[0:2] *= 2
changed.sum().backward()
""",
    ),
    Lesson(
        "E207",
        "Adding up losses instead of their values",
        """
A loss is a tensor with its graph. total += loss therefore records an addition, and the running total holds on to the graph of every batch
so far: the memory grows until the program ends. After backward these graphs are of no use to anybody. loss.item() gives the number alone.
PyTorch says nothing; here it is noticed once a total holds the used graphs of many passes.
""",
        """
import tinygrad_edu as tg

w = tg.tensor([1., 2.], requires_grad=True)
total = 0
for batch in range(20):
    loss = (w * w).sum()
    loss.backward()
    total += loss
print(f"mean loss {total.item() / 20:.2f}")
""",
        """
import tinygrad_edu as tg

w = tg.tensor([1., 2.], requires_grad=True)
total = 0
for batch in range(20):
    loss = (w * w).sum()
    loss.backward()
    total += loss.item()
print(f"mean loss {total / 20:.2f}")
""",
    ),
    Lesson(
        "E208",
        "A parameter is changed while recording",
        """
w -= lr * w.grad writes over w itself. As part of the recorded computation that would be a loop: w would be a result of w, and the graph
could not reach its starting value. The update is not part of the function that is differentiated, so it belongs inside no_grad(), where
nothing is recorded; an optimizer does just that. PyTorch says "a leaf Variable that requires grad is being used in an in-place operation".
""",
        """
import tinygrad_edu as tg

w = tg.tensor([1., 2.], requires_grad=True)
(w * w).sum().backward()
w -= 0.1 * w.grad
""",
        """
import tinygrad_edu as tg

w = tg.tensor([1., 2.], requires_grad=True)
(w * w).sum().backward()
with tg.no_grad():
    w -= 0.1 * w.grad
""",
    ),
    Lesson(
        "E209",
        "The parameter was replaced by its updated value",
        """
w = w - lr * w.grad makes a new tensor, the result of a subtraction, and calls it w. The parameter is gone; the new w is no leaf, so the
next backward() leaves nothing in its .grad, which stays None. Change the parameter itself instead, in place and inside no_grad(). PyTorch
only warns that the .grad of a non-leaf is read.
""",
        """
import tinygrad_edu as tg

w = tg.tensor([1., 2.], requires_grad=True)
for step in range(2):
    (w * w).sum().backward()
    if w.grad is not None:
        w = w - 0.1 * w.grad
""",
        """
import tinygrad_edu as tg

w = tg.tensor([1., 2.], requires_grad=True)
for step in range(2):
    (w * w).sum().backward()
    with tg.no_grad():
        w -= 0.1 * w.grad
    w.grad = None
""",
    ),
    Lesson(
        "E210",
        "numpy() of a tensor that requires grad",
        """
The array shares the tensor's memory, and what NumPy does with it is not recorded; a loss computed from it would have no gradient. detach()
says that the values alone are wanted, for a plot or a table. PyTorch refuses in the same words.
""",
        """
import tinygrad_edu as tg

w = tg.tensor([1., 2.], requires_grad=True)
(w * 2).numpy()
""",
        """
import tinygrad_edu as tg

w = tg.tensor([1., 2.], requires_grad=True)
(w * 2).detach().numpy()
""",
    ),
)
