"""Derivatives beyond loss.backward(): of gradients, of functions, with hooks, cut off, accumulated."""


def gradients_of_a_graph(torch, folder):
    """The first page of an autograd lesson: leaves, functions, accumulation, detach, retain_grad, no_grad."""
    x = torch.tensor([2.0, 3.0], requires_grad=True)
    y = torch.tensor([6.0, 4.0], requires_grad=True)
    q = 3 * x**3 - y**2
    q.retain_grad()
    q.backward(gradient=torch.tensor([1.0, 1.0]), retain_graph=True)
    once = x.grad.clone()
    q.sum().backward()
    with torch.no_grad():
        z = x * 2
    names = [q.grad_fn.name(), q.grad_fn.next_functions[0][0].name(), x.is_leaf, q.is_leaf, z.requires_grad]
    return once, x.grad, y.grad, q.grad, names, q.detach().requires_grad


def gradient_penalty(torch, folder):
    """A critic whose gradient is driven towards length one: grad with create_graph inside a loss."""
    nn = torch.nn
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(3, 8), nn.Softplus(), nn.Linear(8, 1))
    optimizer = torch.optim.Adam(critic.parameters(), lr=0.01, betas=(0.5, 0.9))
    real, fake = torch.randn(16, 3) + 1, torch.randn(16, 3)
    penalties = []
    for _ in range(8):
        mix = torch.rand(16, 1)
        between = (mix * real + (1 - mix) * fake).requires_grad_(True)
        scores = critic(between)
        (slope,) = torch.autograd.grad(scores, between, grad_outputs=torch.ones_like(scores), create_graph=True)
        penalty = ((slope.norm(2, dim=1) - 1) ** 2).mean()
        loss = critic(fake).mean() - critic(real).mean() + 10 * penalty
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        penalties.append(penalty.item())
    return penalties, loss.item()


def newton_on_rosenbrock(torch, folder):
    """Second derivatives of the banana function, and Newton's way to its minimum."""
    torch.manual_seed(0)

    def f(v):
        return (1 - v[0]) ** 2 + 100 * (v[1] - v[0] ** 2) ** 2

    v = torch.tensor([-1.2, 1.0], dtype=torch.float64)
    path = []
    for _ in range(6):
        hessian = torch.autograd.functional.hessian(f, v)
        slope = torch.autograd.functional.jacobian(f, v)
        determinant = hessian[0, 0] * hessian[1, 1] - hessian[0, 1] * hessian[1, 0]
        inverse = torch.stack(
            [torch.stack([hessian[1, 1], -hessian[0, 1]]), torch.stack([-hessian[1, 0], hessian[0, 0]])]
        )
        v = v - (inverse / determinant) @ slope
        path.append(f(v).item())
    x = torch.tensor(1.5, requires_grad=True)
    derivatives, y = [], x**4 + torch.sin(x)
    for _ in range(4):
        (y,) = torch.autograd.grad(y, x, create_graph=True)
        derivatives.append(y.item())
    return path, v, hessian, derivatives


def per_sample_gradients(torch, folder):
    """func: gradients of every sample, a Jacobian by rows and by columns, a Hessian-vector product."""
    func = torch.func
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    weights = {name: p.detach() for name, p in model.named_parameters()}
    x, y = torch.randn(5, 3), torch.randn(5, 1)

    def loss(weights, sample, target):
        return (func.functional_call(model, weights, (sample,)) - target).pow(2).sum()

    each = func.vmap(func.grad(loss), in_dims=(None, 0, 0))(weights, x, y)
    whole = func.grad(lambda w: loss(w, x, y))(weights)
    rows, columns = (transform(lambda v: torch.tanh(v) * v.sum())(x[0]) for transform in (func.jacrev, func.jacfwd))
    product = func.jvp(func.grad(lambda v: (v**3).sum()), (x[0],), (x[1],))[1]
    return each["0.weight"], each["2.bias"], whole["0.weight"], rows, columns, product


def policy_gradient(torch, folder):
    """REINFORCE on a three-armed bandit: sampling, log-probabilities, a baseline, accumulated gradients."""
    torch.manual_seed(0)
    preference = torch.zeros(3, requires_grad=True)
    rewards = torch.tensor([0.2, 1.0, 0.5])
    optimizer = torch.optim.SGD([preference], lr=0.3)
    baseline, actions = 0.0, []
    for _ in range(15):
        optimizer.zero_grad(set_to_none=False)
        for _ in range(4):
            probabilities = torch.softmax(preference, dim=0)
            action = torch.multinomial(probabilities, 1).item()
            advantage = rewards[action].item() - baseline
            loss = -torch.log(probabilities[action]) * advantage / 4
            loss.backward()
            baseline += 0.1 * advantage
            actions.append(action)
        optimizer.step()
    return actions, preference, baseline


def two_networks_against_each_other(torch, folder):
    """A GAN on a line: two optimizers, detach() where the generator must not learn."""
    nn = torch.nn
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 1))
    critic = nn.Sequential(nn.Linear(1, 6), nn.LeakyReLU(0.2), nn.Linear(6, 1))
    g_step = torch.optim.Adam(generator.parameters(), lr=1e-2)
    c_step = torch.optim.Adam(critic.parameters(), lr=1e-2)
    criterion = nn.BCEWithLogitsLoss()
    history = []
    for _ in range(10):
        real, fake = torch.randn(16, 1) * 0.5 + 3, generator(torch.randn(16, 2))
        c_loss = criterion(critic(real), torch.ones(16, 1)) + criterion(critic(fake.detach()), torch.zeros(16, 1))
        c_step.zero_grad()
        c_loss.backward()
        c_step.step()
        g_loss = criterion(critic(fake), torch.ones(16, 1))
        g_step.zero_grad()
        g_loss.backward()
        g_step.step()
        history.append((c_loss.item(), g_loss.item()))
    return history, fake


def attention_by_hand(torch, folder):
    """Scaled dot-product attention with a causal mask, by hand and by the library's function."""
    F = torch.nn.functional
    torch.manual_seed(0)
    batch, time, width, heads = 2, 4, 6, 3
    x = torch.randn(batch, time, width, requires_grad=True)
    qkv = torch.nn.Linear(width, 3 * width, bias=False)
    q, k, v = (part.view(batch, time, heads, width // heads).transpose(1, 2) for part in qkv(x).chunk(3, dim=-1))
    mask = torch.tril(torch.ones(time, time))
    scores = (q @ k.transpose(-2, -1)) / (width // heads) ** 0.5
    weights = torch.softmax(scores.masked_fill(mask == 0, float("-inf")), dim=-1)
    by_hand = (weights @ v).transpose(1, 2).contiguous().view(batch, time, width)
    by_name = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(batch, time, width)
    (by_hand * by_name).sum().backward()
    return by_hand, by_name, x.grad, qkv.weight.grad


def recurrence_by_hand(torch, folder):
    """A simple recurrent network unrolled over time, with truncated backpropagation and clipped gradients."""
    torch.manual_seed(0)
    wx, wh, wo = ((torch.randn(*shape) * 0.3).requires_grad_() for shape in ((1, 8), (8, 8), (8, 1)))
    bias = torch.zeros(8, requires_grad=True)
    parameters = [wx, wh, wo, bias]
    series = torch.sin(torch.arange(0, 41) * 0.3)
    hidden, losses = torch.zeros(1, 8), []
    for start in range(0, 40, 10):
        hidden, loss = hidden.detach(), 0.0
        for step in range(start, start + 10):
            hidden = torch.tanh(series[step].view(1, 1) @ wx + hidden @ wh + bias)
            loss += (hidden @ wo - series[step + 1]).square().squeeze()
        for p in parameters:
            p.grad = None
        loss.backward()
        with torch.no_grad():
            for p in parameters:
                p.grad.clamp_(-1, 1)
                p -= 0.05 * p.grad
        losses.append(loss.item())
    return losses, hidden, wh.grad


def actor_and_critic(torch, folder):
    """A policy of two heads on a toy corridor: Categorical, log_prob, discounted returns, an entropy bonus."""
    nn, Categorical = torch.nn, torch.distributions.Categorical
    torch.manual_seed(0)
    body, actor, critic = nn.Linear(5, 8), nn.Linear(8, 2), nn.Linear(8, 1)
    optimizer = torch.optim.Adam([*body.parameters(), *actor.parameters(), *critic.parameters()], lr=0.02)
    lengths, losses = [], []
    for _ in range(5):
        place, log_probs, values, rewards, entropy = 2, [], [], [], 0.0
        for _ in range(12):
            state = nn.functional.one_hot(torch.tensor(place), 5).float()
            hidden = torch.relu(body(state))
            policy = Categorical(logits=actor(hidden))
            action = policy.sample()
            log_probs.append(policy.log_prob(action))
            values.append(critic(hidden))
            entropy = entropy + policy.entropy()
            place = max(0, min(4, place + (1 if action.item() == 1 else -1)))
            rewards.append(1.0 if place == 4 else -0.1)
            if place == 4:
                break
        returns, running = [], 0.0
        for reward in reversed(rewards):
            running = reward + 0.9 * running
            returns.insert(0, running)
        returns = torch.tensor(returns)
        advantage = returns - torch.cat(values)
        loss = -(torch.stack(log_probs) * advantage.detach()).sum() + advantage.pow(2).sum() - 0.01 * entropy
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        lengths.append(len(rewards))
        losses.append(loss.item())
    return lengths, losses


PROGRAMS = [
    gradients_of_a_graph, gradient_penalty, newton_on_rosenbrock, per_sample_gradients, policy_gradient,
    actor_and_critic, two_networks_against_each_other, attention_by_hand, recurrence_by_hand,
]  # fmt: skip
