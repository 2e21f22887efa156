"""Telling classes apart: logistic regression, small networks, regularization, schedules."""


def spirals(torch, points=60, classes=3):
    """Interleaved spirals, the standard picture of a set that no line separates."""
    xs, ys = [], []
    for label in range(classes):
        radius = torch.linspace(0.0, 1.0, points)
        angle = torch.linspace(label * 4.0, (label + 1) * 4.0, points) + torch.randn(points) * 0.2
        xs.append(torch.stack([radius * torch.sin(angle), radius * torch.cos(angle)], dim=1))
        ys.append(torch.full((points,), label, dtype=torch.long))
    return torch.cat(xs), torch.cat(ys)


def logistic_regression(torch, folder):
    """Two clouds, a sigmoid, binary cross-entropy, and the share of points on the right side."""
    torch.manual_seed(0)
    x = torch.cat([torch.randn(50, 2) + 1.5, torch.randn(50, 2) - 1.5])
    y = torch.cat([torch.ones(50), torch.zeros(50)]).unsqueeze(1)
    model = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Sigmoid())
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(50):
        loss = torch.nn.functional.binary_cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        accuracy = ((model(x) > 0.5).float() == y).float().mean()
    return loss.item(), accuracy.item(), *model.parameters()


def exclusive_or(torch, folder):
    """The first thing one layer cannot learn."""
    torch.manual_seed(2)
    x = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=torch.float32)
    y = torch.tensor([[0.0], [1.0], [1.0], [0.0]])
    hidden, output = torch.nn.Linear(2, 4), torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD([*hidden.parameters(), *output.parameters()], lr=0.5)
    criterion = torch.nn.BCEWithLogitsLoss()
    losses = []
    for epoch in range(300):
        loss = criterion(output(torch.tanh(hidden(x))), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if epoch % 50 == 0:
            losses.append(loss.item())
    return losses, torch.sigmoid(output(torch.tanh(hidden(x)))).round().squeeze().tolist()


def spirals_with_own_dataset(torch, folder):
    """A Dataset of one's own, a shuffling DataLoader, mini-batches, train and eval mode with dropout left at 0."""
    nn, data = torch.nn, torch.utils.data

    class Points(data.Dataset):
        def __init__(self):
            self.x, self.y = spirals(torch)

        def __len__(self):
            return len(self.x)

        def __getitem__(self, index):
            return self.x[index], self.y[index]

    class Net(nn.Module):
        def __init__(self, hidden=16):
            super(Net, self).__init__()  # noqa: UP008 - as older courses write it
            self.fc1 = nn.Linear(2, hidden, bias=False)
            self.bn = nn.BatchNorm1d(hidden)
            self.drop = nn.Dropout(p=0.0)
            self.fc2 = nn.Linear(hidden, 3)

        def forward(self, x):
            x = nn.functional.relu(self.bn(self.fc1(x)))
            return self.fc2(self.drop(x))

    torch.manual_seed(0)
    dataset = Points()
    train_set, test_set = data.random_split(dataset, [150, 30], generator=torch.Generator().manual_seed(7))
    loader = data.DataLoader(train_set, batch_size=32, shuffle=True, drop_last=True)
    test_loader = data.DataLoader(test_set, batch_size=10)
    model, criterion = Net(), nn.CrossEntropyLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=1e-2)
    history = []
    for _ in range(6):
        model.train()
        running = 0.0
        for inputs, labels in loader:
            optimizer.zero_grad()
            loss = criterion(model(inputs), labels)
            loss.backward()
            optimizer.step()
            running += loss.item() * inputs.size(0)
        history.append(running / len(train_set))
    model.eval()
    correct = 0
    with torch.no_grad():
        for inputs, labels in test_loader:
            _, predicted = torch.max(model(inputs).data, 1)
            correct += (predicted == labels).sum().item()
    return history, correct, model.bn.running_mean, model.bn.running_var, model.bn.num_batches_tracked


def learning_rate_schedule(torch, folder):
    """StepLR, then cosine, weight groups with rates of their own, gradients clipped."""
    nn = torch.nn
    torch.manual_seed(5)
    x, y = spirals(torch, points=30)
    model = nn.Sequential(nn.Linear(2, 20), nn.Tanh(), nn.Linear(20, 3))
    groups = [{"params": model[0].parameters()}, {"params": model[2].parameters(), "lr": 0.02}]
    optimizer = torch.optim.RMSprop(groups, lr=0.01)
    step = torch.optim.lr_scheduler.StepLR(optimizer, step_size=5, gamma=0.5)
    rates, norms = [], []
    for _ in range(20):
        loss = nn.CrossEntropyLoss(label_smoothing=0.1)(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), max_norm=0.5).item())
        optimizer.step()
        step.step()
        rates.append(step.get_last_lr())
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=4)
    for _ in range(4):
        optimizer.step()
        cosine.step()
        rates.append([group["lr"] for group in optimizer.param_groups])
    return rates, norms, loss.item()


def saving_and_loading(torch, folder):
    """A checkpoint in the middle of training: what continues from it arrives where the uninterrupted run does."""
    nn = torch.nn

    def build():
        torch.manual_seed(11)
        model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 3))
        return model, torch.optim.Adam(model.parameters(), lr=0.01)

    def train(model, optimizer, steps):
        for _ in range(steps):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        return loss.item()

    torch.manual_seed(4)
    x, y = spirals(torch, points=20)
    model, optimizer = build()
    train(model, optimizer, 5)
    path = folder / "checkpoint.pt"
    torch.save({"epoch": 5, "model": model.state_dict(), "optimizer": optimizer.state_dict()}, path)
    straight_on = train(model, optimizer, 5)
    resumed, its_optimizer = build()
    checkpoint = torch.load(path)
    result = resumed.load_state_dict(checkpoint["model"])
    its_optimizer.load_state_dict(checkpoint["optimizer"])
    continued = train(resumed, its_optimizer, 5)
    return straight_on, continued, checkpoint["epoch"], str(result), list(checkpoint["model"])


PROGRAMS = [
    logistic_regression, exclusive_or, spirals_with_own_dataset, learning_rate_schedule, saving_and_loading,
]  # fmt: skip
