"""One rank of a plain PyTorch job: MODEL RANK RANKS STEPS FOLDER DATA [LOADER_WORKERS]. Rank 0 prints the samples a
second that it reached.

The loop is what PyTorch's own examples show: a Dataset, its DataLoader, a module, AdamW; several ranks are
DistributedDataParallel over Gloo. One thread a rank, as ours.
"""

import csv
import gzip
import json
import re
import sys
import time

import numpy
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, DistributedSampler, RandomSampler

BATCH = 64


def read_idx(path, header):
    with gzip.open(path, "rb") as file:
        return numpy.frombuffer(file.read(), dtype=numpy.uint8, offset=header)


class Images(Dataset):
    def __init__(self, data, flat):
        pixels = read_idx(f"{data}/mnist/train-images-idx3-ubyte.gz", 16)
        self.pixels = torch.from_numpy(pixels.reshape(-1, 1, 28, 28).copy())
        self.labels = torch.from_numpy(read_idx(f"{data}/mnist/train-labels-idx1-ubyte.gz", 8).astype(numpy.int64))
        self.flat = flat

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, row):
        image = self.pixels[row].to(torch.float32).div(255)
        return image.flatten() if self.flat else image, self.labels[row]


class Texts(Dataset):
    """Tokenised once, ahead."""

    def __init__(self, data):
        with open(f"{data}/banking77/train.csv", encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        words = [re.findall(r"[a-z0-9]+", row["text"].lower()) for row in rows]
        known = {word: number + 2 for number, word in enumerate(sorted({word for row in words for word in row}))}
        self.tokens = torch.zeros(len(rows), 32, dtype=torch.int64)
        for row, sentence in enumerate(words):
            for place, word in enumerate(sentence[:32]):
                self.tokens[row, place] = known[word]
        names = sorted({row["category"] for row in rows})
        self.labels = torch.tensor([names.index(row["category"]) for row in rows])
        self.vocabulary = len(known) + 2
        self.classes = len(names)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, row):
        return self.tokens[row], self.labels[row]


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 32, 3, padding=1)
        self.second = nn.Conv2d(32, 64, 3, padding=1)
        self.hidden = nn.Linear(64 * 7 * 7, 128)
        self.output = nn.Linear(128, 10)

    def forward(self, image):
        x = torch.max_pool2d(torch.relu(self.first(image)), 2)
        x = torch.max_pool2d(torch.relu(self.second(x)), 2)
        return self.output(torch.relu(self.hidden(x.flatten(1))))


class Transformer(nn.Module):
    def __init__(self, vocabulary, classes, width=128, heads=4, layers=2, length=32):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width, padding_idx=0)
        self.places = nn.Parameter(torch.randn(length, width) * 0.02)
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, 0.1, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers)
        self.output = nn.Linear(width, classes)

    def forward(self, tokens):
        absent = tokens.eq(0)
        x = self.encoder(self.tokens(tokens) + self.places, src_key_padding_mask=absent)
        present = (~absent).unsqueeze(2)
        return self.output((x * present).sum(1) / present.sum(1).clamp(min=1))


def main():
    model_name, rank, ranks, steps, folder, data = sys.argv[1:7]
    rank, ranks, steps = int(rank), int(ranks), int(steps)
    workers = int(sys.argv[7]) if len(sys.argv) > 7 else 0
    torch.set_num_threads(1)
    torch.manual_seed(1)
    if model_name == "export":  # the module that ours trains
        torch.jit.script(Cnn()).save(f"{folder}/cnn.pt")
        return
    if model_name == "transformer":
        samples = Texts(data)
        model = Transformer(samples.vocabulary, samples.classes)
    elif model_name == "cnn":
        samples, model = Images(data, False), Cnn()
    else:
        samples = Images(data, True)
        sizes = [784, 1024, 1024, 1024]
        layers = [part for a, b in zip(sizes, sizes[1:]) for part in (nn.Linear(a, b), nn.ReLU())]
        model = nn.Sequential(*layers, nn.Linear(1024, 10))
    if ranks > 1:
        torch.distributed.init_process_group("gloo", f"file://{folder}/gloo", rank=rank, world_size=ranks)
        model = nn.parallel.DistributedDataParallel(model)
        sampler = DistributedSampler(samples)
    else:
        sampler = RandomSampler(samples)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    loader = DataLoader(samples, BATCH, sampler=sampler, drop_last=True, num_workers=workers,
                        persistent_workers=workers > 0)
    warm = steps // 10 + 1
    step, begin, counted = -warm, None, 0
    while True:
        for inputs, labels in loader:
            if step == 0:
                begin = time.monotonic()
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs), labels).backward()
            optimizer.step()
            counted += BATCH * ranks if step >= 0 else 0
            step += 1
            if step == steps:
                if rank == 0:
                    print(json.dumps({"value": counted / (time.monotonic() - begin)}))
                return


main()
