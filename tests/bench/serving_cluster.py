"""A cluster of ours that serves a model, and what libtorch does alone with it."""

import contextlib
import http.client
import json
import shutil
import struct
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from processes import Failure, Processes

TARGETS = ("ds-head", "ds-node", "ds-actor", "ds-submit", "bench_serve_load", "bench_serve_direct")

HERE = Path(__file__).resolve().parent
PATIENCE = 60
RAW = ("Inference-Header-Content-Length: 0", "Content-Type: application/octet-stream")


@dataclass(frozen=True)
class Model:
    """What a model takes: one input `x`, of which a row has this shape."""

    name: str
    datatype: str
    shape: tuple

    @property
    def elements(self):
        count = 1
        for size in self.shape:
            count *= size
        return count

    def spec(self, folder):
        sizes = ", ".join(str(size) for size in (-1, *self.shape))
        return (f'{{source: "file:{folder}/{self.name}.pt", inputs: [{{name: x, datatype: {self.datatype}, '
                f"shape: [{sizes}]}}], outputs: [{{name: y}}]}}")

    def raw_body(self):
        """Of one row."""
        if self.datatype == "INT64":
            return struct.pack(f"<{self.elements}q", *(number * 7 % 1000 for number in range(self.elements)))
        return struct.pack(f"<{self.elements}f", *(number % 10 / 10 for number in range(self.elements)))

    def json_body(self):
        values = [number % 10 / 10 for number in range(self.elements)]
        return json.dumps({"inputs": [
            {"name": "x", "datatype": self.datatype, "shape": [1, *self.shape], "data": values}]}).encode()


class Models:
    """The TorchScript files, made once."""

    def __init__(self):
        self._folder = None

    @property
    def folder(self):
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="ds-bench-models-")
            with Processes() as processes:
                processes.run(["/usr/bin/python3", HERE / "serve_models.py", self._folder.name], 300)
        return self._folder.name


class Cluster:
    """A local cluster of ours that serves; nothing is left of it at the end."""

    def __init__(self, programs, models, slots=1):
        self._programs, self._models, self._slots = programs, models, slots

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="ds-bench-")
        self._processes = Processes().__enter__()
        try:
            up = json.loads(self.submit("up", "--nodes", "1", "--slots", self._slots, "-o", "json"))
            self.head = up["head"]
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        try:
            self.submit("down", "--purge")
        finally:
            self._processes.__exit__()
            shutil.rmtree(self.folder, ignore_errors=True)

    def submit(self, *words):
        return self._processes.run([self._programs / "ds-submit", *words], PATIENCE, {"DS_HOME": f"{self.folder}/cluster"})

    def serve(self, model, keys=""):
        """Submits a job whose replicas have one core each; the job's id."""
        text = (f"version: 1\nkind: serve\nname: {model.name}\nresources: {{cpus: 1, memory: 1Gi}}\n"
                f"model: {model.spec(self._models.folder)}\n{keys}")
        path = Path(self.folder, "job.yaml")
        path.write_text(text, encoding="utf-8")
        return json.loads(self.submit("submit", "-f", path, "-o", "json"))["id"]

    def serve_and_wait(self, model, keys=""):
        job = self.serve(model, keys)
        self.wait(lambda: self.replicas(job) > 0, f"{model.name} is served")
        return job

    def cancel(self, job):
        self.submit("cancel", job)
        self.wait(lambda: self.get(f"/api/v1/jobs/{job}")["state"] == "CANCELLED", f"job {job} is cancelled")

    def get(self, path):
        connection = http.client.HTTPConnection(self.head, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status >= 300:
                raise Failure(f"GET {path}: {answer.status} {text[:200]!r}")
            return json.loads(text)

    def replicas(self, job):
        status = self.get(f"/api/v1/jobs/{job}")
        if status["state"] == "FAILED":
            raise Failure(f"job {job}: {status['reason']}")
        return sum(worker["state"] == "SERVING" for worker in status["workers"])

    def wait(self, condition, what):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                raise Failure(f"{what}: not within {PATIENCE} s")
            time.sleep(0.02)

    def load(self, model, *words, body=None, headers=RAW):
        """What the load generator says. `words`: its options."""
        path = Path(self.folder, "body")
        path.write_bytes(model.raw_body() if body is None else body)
        options = [word for header in headers for word in ("--header", header)]
        return json.loads(self._processes.run(
            [self._programs / "bench_serve_load", self.head, f"/v2/models/{model.name}/infer", path, *options, *words], 300))


def check_all_answered(report):
    if report["ok"] != report["requests"]:
        raise Failure(f"{report['requests'] - report['ok']} of {report['requests']} requests were not answered: "
                      f"statuses {report['statuses']}")


def direct(programs, models, what, model, seconds):
    """On one core, as a replica has it: torch's own setting doesn't reach OpenBLAS's threads."""
    with Processes() as processes:
        return json.loads(processes.run(
            [programs / "bench_serve_direct", what, f"{models.folder}/{model.name}.pt", model.datatype,
             "x".join(str(size) for size in model.shape), 1, seconds], 300,
            {"OPENBLAS_NUM_THREADS": "1"}))
