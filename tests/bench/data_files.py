"""Makes the data that the suite `data` reads: data_files.py FOLDER. The same bytes every time."""

import csv
import random
import struct
import sys
from pathlib import Path

import numpy
from PIL import Image

ROWS, DIGITS, PHOTOS = 100_000, 60_000, 200


def make_rows(folder, dice):
    words = ["".join(dice.choices("abcdefghijklmnopqrstuvwxyz", k=dice.randint(2, 9))) for _ in range(20_000)]
    with open(folder / "rows.csv", "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["text", "label"])
        for _ in range(ROWS):
            text = " ".join(words[int(len(words) * dice.random() ** 3)] for _ in range(dice.randint(4, 20)))
            table.writerow([text.capitalize() + dice.choice([".", "?", ", please", ' "now"']), f"class {dice.randint(0, 76)}"])


def make_digits(folder, dice):
    pixels = numpy.random.default_rng(dice.randint(0, 99)).integers(0, 256, DIGITS * 28 * 28, numpy.uint8)
    (folder / "images-idx3-ubyte").write_bytes(struct.pack(">HBBIII", 0, 8, 3, DIGITS, 28, 28) + pixels.tobytes())
    (folder / "labels-idx1-ubyte").write_bytes(struct.pack(">HBBI", 0, 8, 1, DIGITS) + (pixels[:DIGITS] % 10).tobytes())


def make_photos(folder, dice):
    """As large as ImageNet's usually are, as smooth and as rough as photographs."""
    dots = numpy.random.default_rng(dice.randint(0, 99))
    for number in range(PHOTOS):
        rough = Image.fromarray(dots.integers(0, 256, (47, 63, 3), numpy.uint8)).resize((500, 375), Image.BICUBIC)
        pixels = numpy.asarray(rough, numpy.int16) + dots.integers(-12, 13, (375, 500, 3), numpy.int16)
        place = folder / "jpeg" / str(number % 10)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.clip(0, 255).astype(numpy.uint8)).save(place / f"{number}.jpg", quality=90)


def main():
    folder, dice = Path(sys.argv[1]), random.Random(4)
    make_rows(folder, dice)
    make_digits(folder, dice)
    make_photos(folder, dice)


if __name__ == "__main__":
    main()
