"""TorchScript files that the serving benchmarks serve: serve_models.py FOLDER. One thread makes all of them."""

import sys

import torch
from torch import nn


class Noop(nn.Module):
    def forward(self, x):
        return x


class Layer(nn.Module):
    """Attention and two linear layers, as in every transformer."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.attend, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x):
        rows, length, width = x.shape
        parts = self.attend(self.before(x)).view(rows, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        weights = torch.softmax(parts[0] @ parts[1].transpose(-2, -1) * (width // self.heads) ** -0.5, dim=-1)
        x = x + self.project((weights @ parts[2]).transpose(1, 2).reshape(rows, length, width))
        return x + self.narrow(torch.relu(self.widen(self.after(x))))


class Transformer(nn.Module):
    """Two layers of 128 over 32 tokens."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(1000, 128)
        self.layers = nn.Sequential(Layer(128, 4), Layer(128, 4))
        self.scores = nn.Linear(128, 10)

    def forward(self, x):
        return self.scores(self.layers(self.embedding(x)).mean(1))


class Recurrent(nn.Module):
    """Little is gained by a second row of a batch before many come."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(1000, 64)
        self.lstm = nn.LSTM(64, 128, batch_first=True)
        self.scores = nn.Linear(128, 10)

    def forward(self, x):
        return self.scores(self.lstm(self.embedding(x))[0][:, -1])


class Images(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(),
            nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64 * 7 * 7, 128), nn.ReLU(), nn.Linear(128, 10))

    def forward(self, x):
        return self.layers(x)


def layers(*sizes):
    modules = []
    for width, following in zip(sizes, sizes[1:]):
        modules += [nn.Linear(width, following), nn.ReLU()]
    return nn.Sequential(*modules[:-1])


def main():
    torch.manual_seed(1)
    torch.set_num_threads(1)
    models = {
        "noop": Noop(), "small": layers(64, 128, 10), "transformer": Transformer(), "recurrent": Recurrent(),
        "images": Images(), "dense": layers(256, 2048, 2048, 10),
        "large": layers(1024, 5000, 4000, 10),  # 25 million parameters: 100 MB
    }
    for name, model in models.items():
        torch.jit.script(model.eval()).save(f"{sys.argv[1]}/{name}.pt")


if __name__ == "__main__":
    main()
