"""Lines and curves through points, from gradients by hand to modules and optimizers."""

import math


def gradient_by_hand(torch, folder):
    """A line through noisy points; the derivative is written by hand, as before autograd."""
    torch.manual_seed(0)
    x = torch.linspace(-1, 1, 50)
    y = 3 * x - 1 + 0.1 * torch.randn(50)
    w, b, lr = torch.zeros(1), torch.zeros(1), 0.5
    losses = []
    for _ in range(60):
        error = w * x + b - y
        losses.append((error**2).mean().item())
        w -= lr * (2 * error * x).mean()
        b -= lr * (2 * error).mean()
    return w, b, losses


def gradient_by_autograd(torch, folder):
    """The same line with requires_grad, updates under no_grad, and gradients set to zero by hand."""
    torch.manual_seed(0)
    x = torch.rand(64, 1)
    y = 2 * x + 0.5 + torch.normal(0.0, 0.05, size=(64, 1))
    w = torch.randn(1, 1, requires_grad=True)
    b = torch.zeros(1, requires_grad=True)
    losses = []
    for epoch in range(80):
        loss = ((x @ w + b - y) ** 2).mean()
        loss.backward()
        with torch.no_grad():
            w -= 0.4 * w.grad
            b -= 0.4 * b.grad
            w.grad.zero_()
            b.grad = None
        if epoch % 10 == 0:
            losses.append(loss.item())
    return w, b, losses


def line_with_modules(torch, folder):
    """nn.Linear, nn.MSELoss and optim.SGD in the usual five lines."""
    nn = torch.nn
    torch.manual_seed(1)
    x = torch.randn(100, 3)
    y = x @ torch.tensor([[1.0], [-2.0], [0.5]]) + 4.2
    model = nn.Linear(3, 1)
    criterion = nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(40):
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
    return loss.item(), model.weight, model.bias, str(model), str(model.state_dict().keys())


def polynomial_by_hand(torch, folder):
    """A third-order polynomial fitted to the sine with nothing but tensors."""
    torch.manual_seed(0)
    device, dtype = torch.device("cpu"), torch.float
    x = torch.linspace(-math.pi, math.pi, 500, device=device, dtype=dtype)
    y = torch.sin(x)
    a, b, c, d = (torch.randn((), device=device, dtype=dtype) for _ in range(4))
    for _ in range(100):
        y_pred = a + b * x + c * x**2 + d * x**3
        grad_y = 2.0 * (y_pred - y)
        a -= 1e-6 * grad_y.sum()
        b -= 1e-6 * (grad_y * x).sum()
        c -= 1e-6 * (grad_y * x**2).sum()
        d -= 1e-6 * (grad_y * x**3).sum()
    return a, b, c, d, (y_pred - y).pow(2).sum().item()


def polynomial_with_a_function(torch, folder):
    """The Legendre polynomial P3 as an autograd.Function with its own backward."""

    class LegendrePolynomial3(torch.autograd.Function):
        @staticmethod
        def forward(ctx, input):
            ctx.save_for_backward(input)
            return 0.5 * (5 * input**3 - 3 * input)

        @staticmethod
        def backward(ctx, grad_output):
            (input,) = ctx.saved_tensors
            return grad_output * 1.5 * (5 * input**2 - 1)

    x = torch.linspace(-math.pi, math.pi, 300)
    y = torch.sin(x) + 0.5
    weights = [torch.full((), value, requires_grad=True) for value in (0.0, -1.0, 0.0, 0.3)]
    a, b, c, d = weights
    for _ in range(50):
        y_pred = a + b * LegendrePolynomial3.apply(c + d * x)
        loss = (y_pred - y).pow(2).sum()
        loss.backward()
        with torch.no_grad():
            for w in weights:
                w -= 5e-6 * w.grad
                w.grad = None
    return loss.item(), *weights


def polynomial_with_control_flow(torch, folder):
    """A module whose depth is drawn anew in every forward pass, with a weight shared between the powers."""

    class DynamicNet(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c, self.d, self.e = (torch.nn.Parameter(torch.randn(())) for _ in range(5))

        def forward(self, x):
            y = self.a + self.b * x + self.c * x**2 + self.d * x**3
            for exponent in range(4, int(torch.randint(4, 7, (1,)).item())):
                y = y + self.e * x**exponent
            return y

        def string(self):
            return f"y = {self.a.item():.2f} + {self.b.item():.2f} x + {self.e.item():.2f} x^4 ?"

    torch.manual_seed(3)
    x = torch.linspace(-1, 1, 200)
    y = torch.sin(x)
    model = DynamicNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    losses = []
    for _ in range(40):
        loss = torch.nn.MSELoss(reduction="sum")(model(x), y)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses, model.string()


def least_squares_with_lbfgs(torch, folder):
    """A closure for LBFGS, in double precision."""
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    x, y = torch.randn(30, 4), torch.randn(30)
    w = torch.zeros(4, requires_grad=True)
    optimizer = torch.optim.LBFGS([w], lr=1.0, max_iter=15)

    def closure():
        optimizer.zero_grad()
        loss = torch.mean((x @ w - y) ** 2) + 0.01 * w.norm() ** 2
        loss.backward()
        return loss

    first = optimizer.step(closure)
    return first.item(), closure().item(), w


PROGRAMS = [
    gradient_by_hand, gradient_by_autograd, line_with_modules, polynomial_by_hand, polynomial_with_a_function,
    polynomial_with_control_flow, least_squares_with_lbfgs,
]  # fmt: skip
