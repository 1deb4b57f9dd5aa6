"""Torch's own dynamic quantization of the same layers: int8_torch.py MODEL ROWS SECONDS. Prints {"value": rows a second}.

It says what torch gains here; weights are drawn, for they don't change the time.
"""

import json
import sys
import time

import torch
from torch import nn

import int8_models


def main():
    name, rows, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if name == "linear":
        model = nn.Sequential(nn.Linear(1024, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(),
                              nn.Linear(4096, 1024))
        x = torch.randn(rows, 1024)
    elif name == "lstm":
        model, x = int8_models.Lstm(), torch.randn(rows, 32, 256)
    else:
        model, x = int8_models.Transformer(77), torch.randint(1, 4000, (rows, int8_models.LENGTH))
    torch.backends.quantized.engine = "onednn"
    quantized = torch.ao.quantization.quantize_dynamic(model.eval(), {nn.Linear, nn.LSTM}, dtype=torch.qint8)
    with torch.no_grad():
        for _ in range(3):
            quantized(x)
        start, done = time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            quantized(x)
            done += 1
        print(json.dumps({"value": done * rows / (time.perf_counter() - start)}))


if __name__ == "__main__":
    main()
