"""Child processes of which none is left behind, whatever happens."""

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time


class Failure(Exception):
    """What the user is told; no stack is shown."""


@contextlib.contextmanager
def _undisturbed():
    """Signals that would end us come when this is done."""
    came = []
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, lambda number, _: came.append(number)) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before):
            signal.signal(number, handler)
    for number in came[:1]:
        signal.raise_signal(number)


class Processes:
    """Starts commands, each in a session of its own, and ends every process of those sessions on exit.

    A session, because a program may put its children into process groups of their own (mpirun does).
    """

    def __enter__(self):
        self._started = []
        return self

    def __exit__(self, *_):
        with _undisturbed():
            self._end_all()

    def _end_all(self):
        for sign, patience in ((signal.SIGTERM, 3.0), (signal.SIGKILL, 10.0)):
            self._signal_all(sign)
            deadline = time.monotonic() + patience
            while self._left() and time.monotonic() < deadline:
                for child in self._started:
                    child.poll()
                time.sleep(0.005)
        for child in self._started:
            child.poll()
            for stream in (child.stdin, child.stdout):
                if stream:
                    stream.close()
            child.errors.close()

    def start(self, command, environment=None):
        words = [str(word) for word in command]
        errors = tempfile.TemporaryFile()
        with _undisturbed():
            try:
                child = subprocess.Popen(
                    words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                    env={**os.environ, **(environment or {})}, start_new_session=True)
            except OSError as error:
                errors.close()
                raise Failure(f"cannot start {words[0]}: {error.strerror}") from error
            child.errors = errors
            self._started.append(child)
        return child

    def wait(self, children, seconds):
        """Waits until all have ended well. Raises as soon as one fails, or after so many seconds."""
        deadline = time.monotonic() + seconds
        waiting = list(children)
        while waiting:
            for child in list(waiting):
                code = child.poll()
                if code is None:
                    continue
                if code != 0:
                    raise Failure(_describe(child, f"exit code {code}" if code > 0 else f"signal {-code}"))
                waiting.remove(child)
            if waiting and time.monotonic() > deadline:
                raise Failure(_describe(waiting[0], f"still running after {seconds:.0f} s"))
            time.sleep(0.005)

    def run(self, command, seconds, environment=None):
        """Runs a command to its end and returns what it printed."""
        child = self.start(command, environment)
        printed = []
        reader = threading.Thread(target=lambda: printed.append(child.stdout.read()), daemon=True)
        reader.start()  # a command that prints more than a pipe holds waits for it
        self.wait([child], seconds)
        reader.join()
        return printed[0].decode()

    def _signal_all(self, number):
        for process in self._left():
            try:
                os.kill(process, number)
            except ProcessLookupError:
                pass

    def _left(self):
        sessions = {child.pid for child in self._started}
        left = []
        for name in os.listdir("/proc") if sessions else []:
            if not name.isdigit():
                continue
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                    state, _, _, session = file.read().rpartition(")")[2].split()[:4]
            except OSError:
                continue
            if int(session) in sessions and state != "Z":
                left.append(int(name))
        return left


def _describe(child, end):
    child.errors.seek(0)
    lines = child.errors.read().decode(errors="replace").splitlines()[-12:]
    return "\n  ".join([f"{' '.join(child.args)}: {end}", *lines])
