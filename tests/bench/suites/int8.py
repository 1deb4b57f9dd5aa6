"""Layers of 8 bits: a served model with `quantize: int8` against fp32 torch, one thread each, rows a second."""

import json
import os
import shutil
import tempfile
from pathlib import Path

from contest import Case, Contender
from processes import Failure, Processes

TARGETS = ("bench_int8_models",)

PYTHON = "/usr/bin/python3"  # the one that Debian's python3-torch is for
HERE = Path(__file__).resolve().parents[1]
ROOT = HERE.parents[1]
DATA = ROOT.parent / "shared" / "data" / "banking77"
MODELS = ROOT / "build" / "bench" / "int8_models"

# case: model, rows a batch, the ratio that is wanted at least
CASES = {
    "int8_linear": ("linear", 32, 3),
    "int8_lstm": ("lstm", 32, 1.5),
    "int8_transformer": ("transformer", 32, 1.5),
    "int8_transformer_1": ("transformer", 1, 1.5),
}
SETTINGS = ("loaded", "frozen", "optimized")


def cases(programs, seconds):
    if not DATA.is_dir():
        raise Failure(f"the data set is not there: {DATA}")
    return [case(programs, seconds, name) for name in CASES]


def case(programs, seconds, name):
    """One of CASES, for other suites too."""
    model, rows, must = CASES[name]

    def run(*command):
        with Processes() as processes:
            return json.loads(processes.run([*command], 300 + 10 * seconds))["value"]

    def program(who):
        return lambda: run(programs / "bench_int8_models", who, make_models(), model, rows, seconds)

    contenders = [Contender("ours", "ds, quantize: int8", program("ours"))]
    contenders += [Contender("peer", f"torch fp32, {setting}", program(setting)) for setting in SETTINGS]
    contenders.append(Contender("limit", "torch int8 (oneDNN)",
                                lambda: run(PYTHON, "-B", HERE / "int8_torch.py", model, rows, seconds)))
    return Case(name, "rows/s", False, contenders, must=must)


def make_models():
    """Made once, as the transformer is trained for some minutes; beside the programs, so that a new build of the
    bench keeps them."""
    if (MODELS / "transformer.pt").exists():
        return MODELS
    MODELS.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="int8-", dir=MODELS.parent))
    try:
        with Processes() as processes:
            processes.run([PYTHON, "-B", HERE / "int8_models.py", folder, DATA], 3600)
        shutil.rmtree(MODELS, ignore_errors=True)
        os.rename(folder, MODELS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return MODELS
