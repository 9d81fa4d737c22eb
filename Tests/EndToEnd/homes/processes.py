"""Child processes that never outlive their parent's block, and waiting for facts with a deadline."""
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]


class Unmet(AssertionError):
    """What was waited for did not happen."""


def until(condition, seconds, what):
    """The first true answer of `condition`, asked again and again.

    Another process gives no event to wait for, only facts to look at: hence a poll. Its deadline makes it a test; its pause
    only keeps two cores from spinning, and no outcome depends on its length.
    """
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise Unmet("after %g s: no %s" % (seconds, what() if callable(what) else what))
        time.sleep(0.02)


def free_port(host="127.0.0.1"):
    """A TCP port of that address that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


def can_connect(port, host="127.0.0.1"):
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def new_scratch(name="qimesh"):
    """A folder for one run, readable by its owner only. Short, for paths of unix sockets end at 107 bytes."""
    return pathlib.Path(tempfile.mkdtemp(prefix=name + "-", dir="/tmp"))


def tail(path, lines=25):
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except OSError as error:
        return str(error)


class Child:
    """One process with a log of its own for stdout (`name.out`) and stderr (`name.log`), ended by `stop`."""

    def __init__(self, name, command, folder, env=None, cwd=None):
        self.name, self.command = name, [str(part) for part in command]
        self.out, self.log = folder / (name + ".out"), folder / (name + ".log")
        self._over, self._asked = False, 0
        # The log may be that of a process before this one.
        self._begin = self.log.stat().st_size if self.log.exists() else 0
        # A leash: scripts that read stdin end with us even if we are killed.
        with open(self.out, "wb") as out, open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command, env=env, cwd=cwd, stdin=subprocess.PIPE, stdout=out, stderr=log, start_new_session=True)

    @property
    def pid(self):
        return self.process.pid

    @property
    def running(self):
        return self.process.poll() is None

    def set_priority(self, nice):
        """Of the process, with all its threads, and of what it starts. Each child has a session of its own, and where the kernel
        groups tasks by session (sched(7), autogroup) their nice values count within that group only: the group has one, too."""
        group = pathlib.Path("/proc/%d/autogroup" % self.pid)
        if group.exists():
            group.write_text(str(nice))
        for thread in os.listdir("/proc/%d/task" % self.pid):
            os.setpriority(os.PRIO_PROCESS, int(thread), nice)

    def lines(self):
        """The complete lines of stdout so far."""
        return self.out.read_text(errors="replace").split("\n")[:-1]

    def describe(self):
        state = "running" if self.running else "ended with %s" % self.process.returncode
        return "%s (%s; log %s):\n%s" % (self.name, state, self.log, tail(self.log))

    def wait_line(self, accept=lambda line: True, seconds=30, what="line of output"):
        """The first line of stdout that `accept` likes; fails at once when the process ends without one."""
        def look():
            ended = not self.running  # asked first: what a process wrote before its end is then in the file
            for line in self.lines():
                if accept(line):
                    return line
            if ended:
                raise Unmet("no %s of %s" % (what, self.describe()))
        return until(look, seconds, lambda: "%s of %s" % (what, self.describe()))

    def ask(self, question, seconds=40):
        """Has a script answer that answers every line on stdin with one of JSON, after a first one that says that it is ready."""
        self.process.stdin.write((question + "\n").encode())
        self.process.stdin.flush()
        self._asked += 1
        lines = until(lambda: self.lines()[self._asked:], seconds, lambda: "answer to %s: %s" % (question, self.describe()))
        return json.loads(lines[0])

    def wait_log(self, text, seconds=30):
        """The first line of its stderr that holds `text`."""
        def look():
            ended = not self.running
            for line in self.log.read_bytes()[self._begin:].decode(errors="replace").splitlines():
                if text in line:
                    return line
            if ended:
                raise Unmet("no %r from %s" % (text, self.describe()))
        return until(look, seconds, lambda: "%r from %s" % (text, self.describe()))

    def wait_end(self, seconds=30):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Unmet("after %g s: no end of %s" % (seconds, self.describe())) from None

    def kill(self):
        """As a crash or a cut of power: no chance to say goodbye."""
        self._signal(signal.SIGKILL)
        self._over = True
        self.process.wait()

    def terminate(self):
        self._signal(signal.SIGTERM)

    def stop(self, seconds=10):
        """Ends the process and all it started. Returns its exit status."""
        if self._over:  # its number may be another's by now
            return self.process.returncode
        if self.running:
            self.terminate()
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self._signal(signal.SIGKILL)
        self._signal(signal.SIGKILL)  # children of its own session that it left behind
        self._over = True
        self.process.stdin.close()
        return self.process.wait()

    def _signal(self, number):
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
