"""1,000 jobs of `true` on two CPUs, from the first submit to the end of the last: a cluster of ours, and Slurm."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from contest import Case, Contender
from processes import Failure, Processes

TARGETS = ("ds-head", "ds-node", "ds-actor", "ds-submit")

JOBS = 1000
MUST = 5
PATIENCE = 1800
# What Slurm's guide to high throughput says, as far as it concerns one node.
SLURM_TUNED = "batch_sched_delay=0,sched_min_interval=10000,default_queue_depth=2000,partition_job_depth=2000,bf_interval=1"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Ours:
    """A local cluster of one node with two slots."""

    def __init__(self, programs, processes, folder):
        self._environment = {"DS_HOME": f"{folder}/cluster"}
        self._submit = lambda *words: processes.run([programs / "ds-submit", *words], 60, self._environment)
        self._program = [str(programs / "ds-submit")]
        self._folder = folder
        self._submit("up", "--nodes", "1", "--slots", "2")
        self._head = Path(folder, "cluster", "run", "address").read_text(encoding="utf-8").strip()
        self._connection = http.client.HTTPConnection(self._head)

    def close(self):
        self._submit("down", "--purge")

    def _ask(self, method, path, body=None):
        self._connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise Failure(f"{method} {path}: {answer.status} {text[:200]!r}")
        return json.loads(text)

    def over_http(self):
        text = json.dumps({"kind": "command", "name": "true", "run": ["true"], "resources": {"memory": "1Mi"}})
        body = json.dumps({"file": "true.json", "directory": self._folder, "text": text})
        for _ in range(JOBS):
            last = self._ask("POST", "/api/v1/jobs", body)["id"]
        self._wait(last)

    def by_command(self):
        path = Path(self._folder, "true.json")
        path.write_text(json.dumps({"kind": "command", "name": "true", "run": ["true"], "resources": {"memory": "1Mi"}}),
                        encoding="utf-8")
        for _ in range(JOBS):
            done = subprocess.run([*self._program, "submit", "-f", path, "-o", "json"], check=True, capture_output=True,
                                  env={**os.environ, **self._environment})
        self._wait(json.loads(done.stdout)["id"])

    def _wait(self, last):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self._ask("GET", f"/api/v1/jobs/{last}")["state"] == "SUCCEEDED":
                # It is the last that was submitted; the one before it may end a moment later.
                states = [job["state"] for job in self._ask("GET", "/api/v1/jobs")]
                if len(states) >= JOBS and all(state == "SUCCEEDED" for state in states):
                    return
                if "FAILED" in states:
                    raise Failure("a job of ours failed")
            time.sleep(0.02)
        raise Failure(f"our jobs did not end within {PATIENCE} s")


class Slurm:
    """One controller and one node of two CPUs, with munge, in a private folder. Needs root, as slurmd does."""

    def __init__(self, processes, folder, parameters):
        if os.geteuid() != 0:
            raise Failure("Slurm's node needs root")
        host = socket.gethostname().split(".")[0]
        self._environment = {**os.environ, "SLURM_CONF": f"{folder}/slurm.conf"}
        for name in ("state", "spool"):
            Path(folder, name).mkdir()
        lines = [
            "ClusterName=bench", f"SlurmctldHost={host}(127.0.0.1)", "SlurmUser=root", "SlurmdUser=root",
            f"SlurmctldPort={free_port()}", "AuthType=auth/munge", f"AuthInfo=socket={folder}/munge.socket",
            "CredType=cred/munge", f"StateSaveLocation={folder}/state", f"SlurmdSpoolDir={folder}/spool",
            f"SlurmctldPidFile={folder}/slurmctld.pid", f"SlurmdPidFile={folder}/slurmd.pid",
            f"SlurmctldLogFile={folder}/slurmctld.log", f"SlurmdLogFile={folder}/slurmd.log",
            "ProctrackType=proctrack/linuxproc", "TaskPlugin=task/none", "SwitchType=switch/none",
            "SelectType=select/cons_tres", "SelectTypeParameters=CR_Core", "ReturnToService=2", "MailProg=/bin/true",
            "JobAcctGatherType=jobacct_gather/none", "AccountingStorageType=accounting_storage/none",
            "JobCompType=jobcomp/none", "MaxJobCount=20000",
            f"NodeName=bench0 NodeHostname={host} NodeAddr=127.0.0.1 Port={free_port()} CPUs=2 State=UNKNOWN",
            "PartitionName=all Nodes=bench0 Default=YES MaxTime=INFINITE State=UP"]
        if parameters:
            lines.append(f"SchedulerParameters={parameters}")
        Path(folder, "slurm.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
        processes.run(["mungekey", "--create", "--keyfile", f"{folder}/munge.key"], 60)
        self._children = [processes.start(words, self._environment) for words in (
            ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket", f"--key-file={folder}/munge.key",
             f"--pid-file={folder}/munge.pid", f"--log-file={folder}/munge.log", f"--seed-file={folder}/munge.seed"],
            ["slurmctld", "-D", "-f", f"{folder}/slurm.conf"],
            ["slurmd", "-D", "-N", "bench0", "-f", f"{folder}/slurm.conf"])]
        self._wait(lambda: "idle" in self._run("sinfo", "-h", "-o", "%t", check=False), 60)

    def close(self):
        for child in reversed(self._children):
            child.terminate()

    def _run(self, *words, check=True):
        return subprocess.run(words, check=check, capture_output=True, text=True, env=self._environment, cwd="/").stdout

    @staticmethod
    def _wait(condition, seconds):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise Failure(f"Slurm did not get there within {seconds} s")
            time.sleep(0.05)

    def array(self):
        """One submit: what costs Slurm least."""
        self._run("sbatch", "-Q", "-o", "/dev/null", f"--array=0-{JOBS - 1}", "--wrap", "true")
        self._wait(lambda: not self._run("squeue", "-h").strip(), PATIENCE)


def timed(make, run):
    """Seconds from the first submit to the last end, on a new cluster."""
    folder = tempfile.mkdtemp(prefix="ds-bench-")
    try:
        with Processes() as processes:
            cluster = make(processes, folder)
            try:
                begin = time.monotonic()
                run(cluster)
                return time.monotonic() - begin
            finally:
                cluster.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def cases(programs, _seconds):
    def ours(run):
        return lambda: timed(lambda processes, folder: Ours(programs, processes, folder), run)

    def slurm(parameters, run):
        return lambda: timed(lambda processes, folder: Slurm(processes, folder, parameters), run)

    return [Case("slurm_1000_true", "s", True, [
        Contender("ours", "ds, a request each", ours(Ours.over_http)),
        Contender("ours", "ds, ds-submit each", ours(Ours.by_command)),
        Contender("peer", "slurm, an array", slurm("", Slurm.array)),
        Contender("peer", "slurm, an array, tuned", slurm(SLURM_TUNED, Slurm.array)),
    ], must=MUST)]
