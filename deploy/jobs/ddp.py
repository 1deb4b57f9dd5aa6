#!/usr/bin/env python3
"""Fits a small network with DistributedDataParallel over Gloo; goes on from its checkpoint when it is started again."""

import argparse
import os

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel


def make_data(count=4096):
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(count, 16, generator=generator)
    return inputs, inputs[:, :4].prod(dim=1, keepdim=True).tanh() + inputs[:, 4:8].sum(dim=1, keepdim=True)


def save(path, epoch, model, optimizer):
    """Whole or not at all: the process may be killed at any moment."""
    torch.save({"epoch": epoch, "model": model.module.state_dict(), "optimizer": optimizer.state_dict()}, path + ".new")
    os.replace(path + ".new", path)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--checkpoint", required=True)
    arguments = parser.parse_args()

    dist.init_process_group("gloo")  # RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT are in the environment
    rank, world = dist.get_rank(), dist.get_world_size()
    torch.manual_seed(7)
    model = DistributedDataParallel(torch.nn.Sequential(torch.nn.Linear(16, 64), torch.nn.Tanh(), torch.nn.Linear(64, 1)))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    first = 0
    if os.path.exists(arguments.checkpoint):
        state = torch.load(arguments.checkpoint, map_location="cpu")
        model.module.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["epoch"] + 1
    if rank == 0:
        print(f"{world} ranks, generation {os.environ.get('DS_GENERATION', '?')}, from epoch {first}", flush=True)

    inputs, targets = make_data()
    for epoch in range(first, arguments.epochs):
        order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(epoch))[rank::world]
        total = torch.zeros(1)
        batches = order[: len(inputs) // world].split(256 // world)
        for batch in batches:
            loss = torch.nn.functional.mse_loss(model(inputs[batch]), targets[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach()
        dist.all_reduce(total)
        if rank == 0:
            print(f"epoch {epoch}: loss {total.item() / len(batches) / world:.4f}", flush=True)
            save(arguments.checkpoint, epoch, model, optimizer)
        dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
