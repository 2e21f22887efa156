"""Networks of several kinds: images, codes, letters, shared weights, initial values."""

import itertools


def convolutional_network(torch, folder):
    """The usual small CNN on random images, in training and evaluation mode."""
    nn, F = torch.nn, torch.nn.functional

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(1, 4, kernel_size=5, padding=2)
            self.conv2 = nn.Conv2d(4, 8, kernel_size=3, stride=2, bias=False)
            self.bn = nn.BatchNorm2d(8)
            self.pool = nn.MaxPool2d(2, 2)
            self.fc = nn.Linear(8 * 2 * 2, 10)

        def forward(self, x):
            x = self.pool(F.relu(self.conv1(x)))
            x = F.avg_pool2d(F.leaky_relu(self.bn(self.conv2(x))), 1)
            x = F.adaptive_avg_pool2d(x, (2, 2))
            x = x.view(-1, 8 * 2 * 2)
            return F.log_softmax(self.fc(x), dim=1)

    torch.manual_seed(0)
    images, labels = torch.rand(24, 1, 12, 12), torch.randint(0, 10, (24,))
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)
    losses = []
    for _ in range(6):
        for start in range(0, 24, 8):
            optimizer.zero_grad()
            loss = F.nll_loss(model(images[start : start + 8]), labels[start : start + 8])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        scores = model(images)
    predicted = scores.argmax(dim=1, keepdim=True)
    correct = predicted.eq(labels.view_as(predicted)).sum().item()
    return losses, scores, correct, model.conv1.weight.grad, sum(p.numel() for p in model.parameters())


def autoencoder(torch, folder):
    """Images squeezed through two numbers, with transposed convolutions on the way out."""
    nn = torch.nn
    torch.manual_seed(0)
    images = torch.rand(10, 1, 8, 8)
    encoder = nn.Sequential(nn.Conv2d(1, 3, 3, stride=2, padding=1), nn.ELU(), nn.Flatten(), nn.Linear(3 * 4 * 4, 2))
    decoder = nn.Sequential(
        nn.Linear(2, 3 * 4 * 4), nn.Unflatten(1, (3, 4, 4)), nn.GELU(), nn.ConvTranspose2d(3, 1, 2, stride=2), nn.Sigmoid()
    )  # fmt: skip
    model = nn.Sequential(encoder, decoder)
    optimizer = torch.optim.Adagrad(model.parameters(), lr=0.05)
    losses = []
    for _ in range(12):
        loss = nn.functional.mse_loss(model(images), images) + 1e-3 * encoder(images).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, encoder(images), [name for name, _ in model.named_parameters()]


def bag_of_letters(torch, folder):
    """Names with the language they come from: letters embedded, averaged, classified."""
    nn = torch.nn
    words = ["anna", "otto", "mary", "john", "hans", "lisa"]
    labels = torch.tensor([0, 0, 1, 1, 0, 1])
    letters = sorted(set("".join(words)))
    to_index = {letter: number for number, letter in enumerate(letters)}
    batch = torch.LongTensor([[to_index[letter] for letter in word] for word in words])

    class Bag(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(len(letters), 5)
            self.norm = nn.LayerNorm(5)
            self.out = nn.Linear(5, 2)

        def forward(self, indices):
            return self.out(self.norm(self.embedding(indices).mean(dim=1)))

    torch.manual_seed(0)
    model = Bag()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    for _ in range(5):
        loss = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0]))(model(batch), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    probabilities = torch.softmax(model(batch), dim=-1)
    top = probabilities.topk(1)
    return loss.item(), probabilities, top.values, top.indices, model.embedding.weight.grad


def bigram_sampling(torch, folder):
    """Letters drawn from counts of pairs: indexing, one-hot codes, multinomial with a generator."""
    words = ["emma", "olivia", "ava", "mia"]
    letters = [".", *sorted(set("".join(words)))]
    index = {letter: number for number, letter in enumerate(letters)}
    size = len(letters)
    counts = torch.zeros((size, size), dtype=torch.int32)
    pairs = []
    for word in words:
        text = [".", *word, "."]
        for first, second in itertools.pairwise(text):
            counts[index[first], index[second]] += 1
            pairs.append((index[first], index[second]))
    p = (counts + 1).float()
    p /= p.sum(1, keepdim=True)
    generator = torch.Generator().manual_seed(2147483647)
    drawn = []
    for _ in range(3):
        ix, word = 0, []
        while len(word) < 12:
            ix = torch.multinomial(p[ix], num_samples=1, replacement=True, generator=generator).item()
            word.append(letters[ix])
            if ix == 0:
                break
        drawn.append("".join(word))
    xs, ys = torch.tensor([a for a, _ in pairs]), torch.tensor([b for _, b in pairs])
    w = torch.randn((size, size), generator=generator, requires_grad=True)
    for _ in range(10):
        logits = torch.nn.functional.one_hot(xs, num_classes=size).float() @ w
        probs = logits.exp() / logits.exp().sum(1, keepdims=True)
        loss = -probs[torch.arange(len(xs)), ys].log().mean() + 0.01 * (w**2).mean()
        w.grad = None
        loss.backward()
        w.data += -10 * w.grad
    return drawn, p, loss.item(), -p[xs, ys].log().mean().item()


def shared_weights(torch, folder):
    """One layer used twice, and one parameter under two names: gradients add up, saved once."""
    nn = torch.nn

    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(6, 4)
            self.hidden = nn.Linear(4, 4)
            self.out = nn.Linear(4, 6, bias=False)
            self.out.weight = self.embedding.weight

        def forward(self, tokens):
            x = self.embedding(tokens)
            x = torch.tanh(self.hidden(torch.tanh(self.hidden(x))))
            return self.out(x)

    torch.manual_seed(0)
    model = Tied()
    tokens = torch.randint(0, 6, (3, 5))
    loss = nn.functional.cross_entropy(model(tokens).view(-1, 6), tokens.roll(1, dims=1).reshape(-1))
    loss.backward()
    count = len(list(model.parameters()))
    return loss.item(), count, model.embedding.weight.grad, model.hidden.weight.grad, list(model.state_dict())


def initial_values(torch, folder):
    """Layers seeded and initialized in the ways courses show."""
    nn = torch.nn
    torch.manual_seed(42)
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Conv1d(2, 3, 3), nn.Embedding(4, 3))
    default = [p.detach().clone() for p in model.parameters()]

    def initialize(module):
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight, gain=nn.init.calculate_gain("relu"))
            nn.init.constant_(module.bias, 0.1)
        elif isinstance(module, nn.Conv1d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            module.bias.data.zero_()
        elif isinstance(module, nn.Embedding):
            module.weight.data.uniform_(-0.1, 0.1)

    model.apply(initialize)
    w = torch.empty(4, 4)
    return default, [p.detach() for p in model.parameters()], nn.init.normal_(w, 1.0, 0.02).clone(), nn.init.eye_(w)


def own_layer_with_hooks(torch, folder):
    """A layer with a buffer, forward hooks that collect activations, frozen parameters, a ModuleList."""
    nn = torch.nn

    class Scale(nn.Module):
        def __init__(self, size):
            super().__init__()
            self.gain = nn.Parameter(torch.ones(size))
            self.register_buffer("calls", torch.tensor(0))

        def forward(self, x):
            self.calls += 1
            return x * self.gain

    class Deep(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])
            self.scale = Scale(4)

        def forward(self, x):
            for layer in self.layers:
                x = torch.relu(layer(x)) + x
            return self.scale(x)

    torch.manual_seed(0)
    model = Deep()
    for parameter in model.layers[0].parameters():
        parameter.requires_grad = False
    activations = {}
    handles = [
        layer.register_forward_hook(
            lambda module, inputs, output, name=name: activations.update({name: output.detach().mean()})
        )
        for name, layer in model.layers.named_children()
    ]
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trainable, lr=0.01)
    x = torch.randn(7, 4)
    for _ in range(3):
        optimizer.zero_grad()
        model(x).pow(2).sum().backward()
        optimizer.step()
    for handle in handles:
        handle.remove()
    model(x)
    frozen = model.layers[0].weight.grad is None
    return activations, model.scale.calls, frozen, len(trainable), model.scale.gain, str(model)


PROGRAMS = [
    convolutional_network, autoencoder, bag_of_letters, bigram_sampling, shared_weights, initial_values, own_layer_with_hooks,
]  # fmt: skip
