"""Writes the models that int8_models.cpp times into a folder: int8_models.py FOLDER DATA. Made once, a few minutes.

`linear` and `lstm` are drawn; `transformer` is trained on BANKING77, so that the accuracy that INT8 loses can be
told. Beside it stand the held-out texts as its inputs: `tokens.bin` (int64, 32 a row) and `labels.txt`.
"""

import csv
import math
import re
import sys
from pathlib import Path

import torch
from torch import nn

LENGTH = 32
VOCABULARY = 4000
WIDTH, HEADS, FEED_FORWARD, LAYERS = 256, 4, 1024, 2
EPOCHS = 5


class Lstm(nn.Module):
    """The last state of an LSTM of 256."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(256, 256, batch_first=True)

    def forward(self, x):
        output, _ = self.lstm(x)
        return output[:, -1]


class Layer(nn.Module):
    """A transformer's encoder layer, as the papers have it: its norms come first."""

    def __init__(self):
        super().__init__()
        self.heads = HEADS
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.linear1, self.linear2 = nn.Linear(WIDTH, FEED_FORWARD), nn.Linear(FEED_FORWARD, WIDTH)

    def forward(self, x, absent):
        rows, length, width = x.shape
        parts = self.qkv(self.norm1(x)).reshape(rows, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = parts.unbind(0)
        scores = query @ key.transpose(-2, -1) / math.sqrt(width // self.heads)
        weights = torch.softmax(scores.masked_fill(absent, -1e9), -1)
        x = x + self.out((weights @ value).transpose(1, 2).reshape(rows, length, width))
        return x + self.linear2(nn.functional.gelu(self.linear1(self.norm2(x))))


class Transformer(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH, padding_idx=0)
        self.position = nn.Parameter(torch.randn(LENGTH, WIDTH) * 0.1)
        self.layers = nn.ModuleList([Layer() for _ in range(LAYERS)])
        self.norm = nn.LayerNorm(WIDTH)
        self.output = nn.Linear(WIDTH, classes)

    def forward(self, tokens):
        absent = (tokens == 0).unsqueeze(1).unsqueeze(1)
        present = (tokens != 0).unsqueeze(2)
        x = self.embedding(tokens) + self.position[:tokens.size(1)]
        for layer in self.layers:
            x = layer(x, absent)
        return self.output((self.norm(x) * present).sum(1) / present.sum(1).clamp_min(1))


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [re.findall(r"[a-z0-9']+", row["text"].lower()) for row in rows], [row["category"] for row in rows]


def batches(lengths, size):
    """A pass over all in random order, but texts of a batch are about as long: padding costs time."""
    parts = [part[lengths[part].argsort()].split(size) for part in torch.randperm(len(lengths)).split(16 * size)]
    shuffled = [batch for part in parts for batch in part]
    return [shuffled[place] for place in torch.randperm(len(shuffled)).tolist()]


def train_transformer(data):
    texts, names = read(data / "train.csv")
    counts = {}
    for text in texts:
        for word in text:
            counts[word] = counts.get(word, 0) + 1
    kept = sorted(counts, key=lambda word: (-counts[word], word))[:VOCABULARY - 2]
    numbers = {word: number + 2 for number, word in enumerate(kept)}
    classes = {name: number for number, name in enumerate(sorted(set(names)))}

    def encode(words):
        tokens = [numbers.get(word, 1) for word in words[:LENGTH]] or [1]
        return tokens + [0] * (LENGTH - len(tokens))

    inputs = torch.tensor([encode(text) for text in texts])
    labels = torch.tensor([classes[name] for name in names])
    lengths = (inputs != 0).sum(1)
    torch.manual_seed(1)
    model = Transformer(len(classes))
    torch.jit.script(model)  # fails before the training, not behind it
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4)
    batch = 64
    steps = EPOCHS * len(batches(lengths, batch))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps)
    for _ in range(EPOCHS):
        for chosen in batches(lengths, batch):
            tokens = inputs[chosen][:, :int(lengths[chosen].max())]
            loss = nn.functional.cross_entropy(model(tokens), labels[chosen], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    held_out, wanted = read(data / "test.csv")
    return (model.eval(), torch.tensor([encode(text) for text in held_out]),
            torch.tensor([classes[name] for name in wanted]))


def main():
    folder, data = Path(sys.argv[1]), Path(sys.argv[2])
    torch.manual_seed(0)
    linear = nn.Sequential(nn.Linear(1024, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 1024))
    torch.jit.script(linear.eval()).save(folder / "linear.pt")
    torch.jit.script(Lstm().eval()).save(folder / "lstm.pt")
    model, tokens, labels = train_transformer(data)
    with torch.no_grad():
        right = sum(int(model(part).argmax(1).eq(wanted).sum())
                    for part, wanted in zip(tokens.split(256), labels.split(256)))
    print(f"accuracy {right / len(labels):.4f}", file=sys.stderr)
    (folder / "tokens.bin").write_bytes(tokens.numpy().tobytes())
    (folder / "labels.txt").write_text("\n".join(map(str, labels.tolist())) + "\n", encoding="utf-8")
    torch.jit.script(model).save(folder / "transformer.pt")  # last: it tells that all is there


if __name__ == "__main__":
    main()
