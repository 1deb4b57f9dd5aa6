"""Samples a second of PyTorch's DataLoader: data_peer.py CASE FOLDER SECONDS WORKERS. Does what data_loading.cpp does."""

import csv
import json
import random
import re
import sys
import time
from pathlib import Path

import numpy
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset


class Rows(Dataset):
    """CSV to tokens to padded rows. The file was read and the vocabulary made beforehand, which is in its favour."""

    WORD = re.compile(r"[a-z0-9\x80-\U0010ffff]+")

    def __init__(self, folder):
        with open(folder / "rows.csv", encoding="utf-8", newline="") as file:
            self.rows = [(row["text"], row["label"]) for row in csv.DictReader(file)]
        words = sorted({word for text, _ in self.rows for word in self.WORD.findall(text.lower())})[:7998]
        self.numbers = {word: number + 2 for number, word in enumerate(words)}
        self.labels = {label: number for number, label in enumerate(sorted({label for _, label in self.rows}))}

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        text, label = self.rows[index]
        tokens = [self.numbers.get(word, 1) for word in self.WORD.findall(text.lower())[:32]]
        return torch.tensor(tokens + [0] * (32 - len(tokens))), self.labels[label]


class Digits(Dataset):
    """Flip, shift, normalize."""

    def __init__(self, folder):
        self.images = numpy.frombuffer((folder / "images-idx3-ubyte").read_bytes()[16:], numpy.uint8).reshape(-1, 28, 28)
        self.labels = numpy.frombuffer((folder / "labels-idx1-ubyte").read_bytes()[8:], numpy.uint8)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = self.images[index]
        if random.random() < 0.5:
            image = image[:, ::-1]
        padded = numpy.zeros((32, 32), numpy.uint8)
        padded[2:30, 2:30] = image
        top, left = random.randint(0, 4), random.randint(0, 4)
        image = padded[top:top + 28, left:left + 28].astype(numpy.float32)
        image *= 1 / 255
        image -= 0.1307
        image /= 0.3081
        return torch.from_numpy(image).unsqueeze(0), int(self.labels[index])


class Photos(Dataset):
    """Decode, resize, flip, normalize."""

    MEAN = numpy.array([0.485, 0.456, 0.406], numpy.float32)
    DEVIATION = numpy.array([0.229, 0.224, 0.225], numpy.float32)

    def __init__(self, folder):
        self.files = sorted((folder / "jpeg").glob("*/*.jpg"))

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        with Image.open(self.files[index]) as image:
            image = image.convert("RGB").resize((224, 224), Image.BILINEAR)
        if random.random() < 0.5:
            image = image.transpose(Image.FLIP_LEFT_RIGHT)
        pixels = (numpy.asarray(image, numpy.float32) / 255 - self.MEAN) / self.DEVIATION
        return torch.from_numpy(pixels.transpose(2, 0, 1)).contiguous(), int(self.files[index].parent.name)


def samples_a_second(loader, seconds):
    """From the first batch on, so that starting is nobody's burden."""
    samples, begin = 0, None
    while True:
        for batch, _ in loader:
            if begin is None:
                begin = time.perf_counter()
                continue
            samples += len(batch)
            passed = time.perf_counter() - begin
            if passed >= seconds:
                return samples / passed


def main():
    case, folder, seconds, workers = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    torch.set_num_threads(1)
    dataset = {"data_csv": Rows, "data_mnist_augment": Digits, "data_jpeg": Photos}[case](folder)
    loader = DataLoader(dataset, batch_size=32 if case == "data_jpeg" else 128, shuffle=True, num_workers=workers,
                        persistent_workers=workers > 0)
    print(json.dumps({"value": samples_a_second(loader, seconds)}))


if __name__ == "__main__":
    main()
