"""A worker under torchrun: trains with DistributedDataParallel over Gloo, saves every 20 steps, and goes on from there when
torchrun starts it again. FOLDER gets `pid.RANK` and, from rank 0, a line in `steps` for each step done.
"""

import os
import sys

import torch
from torch import nn

SAVE_EVERY = 20


def main():
    folder = sys.argv[1]
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    rank = torch.distributed.get_rank()
    with open(f"{folder}/pid.{rank}", "w", encoding="ascii") as file:
        file.write(str(os.getpid()))
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 10))
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    saved = f"{folder}/checkpoint.pt"
    step = 0
    if os.path.exists(saved):
        state = torch.load(saved)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step = state["step"]
    parallel = nn.parallel.DistributedDataParallel(model)
    generator = torch.Generator().manual_seed(rank)
    while True:
        inputs = torch.randn(64, 256, generator=generator)
        labels = torch.randint(10, (64,), generator=generator)
        optimizer.zero_grad()
        nn.functional.cross_entropy(parallel(inputs), labels).backward()
        optimizer.step()
        step += 1
        if rank == 0:
            if step % SAVE_EVERY == 0:
                torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step},
                           f"{saved}.new")
                os.replace(f"{saved}.new", saved)
            with open(f"{folder}/steps", "a", encoding="ascii") as file:
                file.write(f"{step}\n")


main()
