"""Those who come, go and are killed. Each kind is one thread that goes on until it is told to stop, and ends what it started."""
import collections
import contextlib
import pathlib
import random
import signal
import socket
import struct
import subprocess
import sys
import threading

GUEST = pathlib.Path(__file__).resolve().parent / "guest.py"


class Churn:
    """One phase of coming and going around `home`'s node. `counts` says what was done."""

    def __init__(self, home, binary, steady, authenticate, seed):
        self.home, self.binary, self.steady, self.authenticate = home, binary, steady, authenticate
        self.random = random.Random(seed)
        self.stopping = threading.Event()
        self.counts = collections.Counter()
        self.failures = []
        self.threads = [
            threading.Thread(target=self._guard, args=(body,), name=body.__name__)
            for body in (self.services, self.clients, self.commands, self.strangers, self.bystander)
        ]

    def start(self):
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(90)
            if thread.is_alive():
                self.failures.append("%s does not end" % thread.name)

    def _guard(self, body):
        try:
            while not self.stopping.is_set():
                body()
        except Exception as error:
            self.failures.append("%s: %r" % (body.__name__, error))
            self.stopping.set()

    def _pause(self, least, most):
        self.stopping.wait(self.random.uniform(least, most))

    def _start(self, *command, stdin=subprocess.DEVNULL):
        return subprocess.Popen([str(part) for part in command], env=self.home.env, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def _kill(self, process, how=signal.SIGKILL):
        process.send_signal(how)
        process.wait(30)
        self.counts["killed" if how == signal.SIGKILL else "ended"] += 1

    # --- kinds

    def services(self):
        names = ["Guest%d" % self.random.randrange(1_000_000) for _ in range(3)]
        guest = self._start(sys.executable, GUEST, "service", self.home.url, *names, stdin=subprocess.PIPE)
        for line in guest.stdout:
            if line == "ready\n":
                break
        self.counts["services"] += len(names)
        self._pause(0.1, 1.5)
        if self.random.random() < 0.5:
            self._kill(guest)
        else:
            guest.stdin.close()
            guest.wait(30)
            self.counts["ended"] += 1
        guest.stdout.close()

    def clients(self):
        guest = self._start(sys.executable, GUEST, "client", self.home.url, self.steady)
        rounds = self.random.randrange(1, 30)
        for line in guest.stdout:
            rounds -= line.startswith("round")
            self.counts["libqi sessions"] += line.startswith("round")
            if rounds == 0 or self.stopping.is_set():
                break
        else:
            raise RuntimeError("a libqi client ended by itself")
        self._kill(guest)
        guest.stdout.close()

    def commands(self):
        """Sessions of ours: the command line, left to its end or interrupted or killed."""
        verb = self.random.choice((["ls"], ["call", self.steady + ".echo", "hello"], ["watch", self.steady + ".tick"], ["info", self.steady]))
        process = self._start(self.binary, *verb)
        if verb[0] == "watch":
            self._pause(0.3, 1.5)
            self._kill(process, self.random.choice((signal.SIGKILL, signal.SIGINT)))
        elif process.wait(60) != 0:
            raise RuntimeError("qimesh %s ended with %s" % (" ".join(verb), process.returncode))
        process.stdout.close()
        self.counts["our sessions"] += 1

    def strangers(self):
        for _ in range(20):
            with contextlib.suppress(ConnectionError, TimeoutError):
                self._stranger()
            self.counts["strangers"] += 1
        self._pause(0.05, 0.3)

    def _stranger(self):
        port = self.home.port
        family, address = self.random.choice(((socket.AF_INET, ("127.0.0.1", port)), (socket.AF_UNIX, str(self.home.unix_socket))))
        with socket.socket(family) as one:
            one.settimeout(10)
            one.connect(address)
            kind = self.random.randrange(5)
            if kind == 0:
                return
            if kind == 1:
                one.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                one.recv(100)
                return
            if kind == 2:
                one.sendall(self.authenticate[:self.random.randrange(1, len(self.authenticate))])
                return
            one.sendall(self.authenticate)
            one.recv(4096)
            if kind == 3:
                # A reset instead of a goodbye, with calls on their way.
                call = struct.pack("<4sIIHBBIII", b"\x42\xde\xad\x42", 7, 0, 0, 1, 0, 1, 1, 101)
                one.sendall(call * 50)
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def bystander(self):
        """Nobody else may suffer."""
        answer = subprocess.run(
            [str(self.binary), "call", self.steady + ".echo", "alive"], env=self.home.env, capture_output=True, text=True, timeout=60)
        if answer.returncode != 0 or "alive" not in answer.stdout:
            raise RuntimeError("the bystander was not served: %s%s" % (answer.stdout, answer.stderr))
        self.counts["bystander calls"] += 1
        self._pause(0.5, 1)
