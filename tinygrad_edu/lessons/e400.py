"""Lessons on NaN and on checking gradients: E401 to E403."""

from tinygrad_edu.lessons.lesson import Lesson

__all__ = ["LESSONS"]

LESSONS = (
    Lesson(
        "E401",
        "NaN or infinity appears",
        """
The logarithm of 0, a division by 0 and the exponential of a large number leave the numbers, and every operation after them only passes NaN
on until the loss shows it, far from the cause. tg.detect_anomaly() checks each operation where it is executed and stops at the first one,
with its line, the range of its inputs and the likely cause. It is for finding the fault, not for training. PyTorch's anomaly mode looks at
the backward pass only. Here log_softmax would compute the same without leaving the numbers.
""",
        """
import tinygrad_edu as tg

scores = tg.tensor([[200., 0., -200.]])
with tg.detect_anomaly():
    log_probabilities = scores.exp().log()
""",
        """
import tinygrad_edu as tg

scores = tg.tensor([[200., 0., -200.]])
with tg.detect_anomaly():
    log_probabilities = tg.log_softmax(scores, dim=1)
""",
    ),
    Lesson(
        "E402",
        "NaN gradient behind a mask",
        """
where(x > 0, sqrt(x), 0) shows no NaN: the bad element is not chosen. But backward goes through the square root all the same. The element
gets the gradient 0 from where, the slope of the square root at 0 is infinite, and 0 * infinity is NaN. The cure is to give the function a
safe input where its result is thrown away. PyTorch computes the same NaN. norm() of a zero vector is the same case inside, and is treated
there.
""",
        """
import tinygrad_edu as tg

x = tg.tensor([0., 4.], requires_grad=True)
with tg.detect_anomaly():
    tg.where(x > 0, tg.sqrt(x), 0.0).sum().backward()
""",
        """
import tinygrad_edu as tg

x = tg.tensor([0., 4.], requires_grad=True)
with tg.detect_anomaly():
    safe = tg.where(x > 0, x, 1.0)
    tg.where(x > 0, tg.sqrt(safe), 0.0).sum().backward()
""",
    ),
    Lesson(
        "E403",
        "gradcheck at a kink",
        """
gradcheck compares a gradient with (f(x + e) - f(x - e)) / 2e. At a kink, such as relu's at 0, the slope to the left and the slope to the
right differ; the difference across the kink is their mean, and no gradient can be equal to it. The gradient is not wrong there, the point
is: check elsewhere. Single precision is no trouble, because gradcheck computes in double precision whatever it is given. PyTorch reports a
mismatch of Jacobians.
""",
        """
import tinygrad_edu as tg

x = tg.tensor([-1., 0., 2.], requires_grad=True)
tg.autograd.gradcheck(tg.relu, x)
""",
        """
import tinygrad_edu as tg

x = tg.tensor([-1., 0.5, 2.], requires_grad=True)
tg.autograd.gradcheck(tg.relu, x)
""",
    ),
)
