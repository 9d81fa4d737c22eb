"""The processes of a measurement: started on a CPU, asked for one JSON line, their CPU time read from the kernel."""
import contextlib
import json
import os
import pathlib
import subprocess


class Failure(Exception):
    pass


def pinned(command, placement):
    """`one`: everything on CPU 0, so that the figure is the length of the path and no halted CPU is woken. `free`: as it comes."""
    return ["taskset", "-c", "0", *command] if placement == "one" else list(command)


def last_line(stream, mark, command):
    """The content of the next line that begins with `mark`; libqi logs between such lines."""
    for line in stream:
        if line.startswith(mark + " "):
            return json.loads(line[len(mark):])
    raise Failure(f"{' '.join(map(str, command))} ended without a {mark!r} line")


class Server:
    """A serving process; ends when its standard input does."""

    def __init__(self, command, placement="free"):
        self.process = subprocess.Popen(
            pinned([str(part) for part in command], placement), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            stderr=subprocess.DEVNULL)
        self.ready = last_line(self.process.stdout, "ready", command)

    @property
    def pid(self):
        return self.process.pid

    def cpu_microseconds(self):
        """CPU time of all its threads; those that ended are not counted, and none of them ends while it serves."""
        total = 0
        for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError):
                total += int((task / "schedstat").read_text().split()[0])
        return total / 1000

    def resident_kilobytes(self):
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise Failure("the server is gone")

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def measure(command, placement="free", timeout=300):
    """Runs a client to its end and answers its result."""
    command = [str(part) for part in command]
    done = subprocess.run(pinned(command, placement), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout, env=os.environ)
    if done.returncode:
        raise Failure(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-600:]}")
    return last_line(iter(done.stdout.splitlines()), "result", command)
