"""A command at a terminal of a given size, as a person sees it."""
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

from .home import Answer, binary
from .processes import Unmet

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def at_terminal(home, *arguments, columns=80, lines=24, seconds=60):
    """Runs `qimesh ARGUMENTS` with stdout and stderr on a terminal. Returns what it said, without escape sequences, and its exit status."""
    master, slave = pty.openpty()
    try:
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        command = [str(binary()), *map(str, arguments)]
        env = {**home.env, "TERM": "xterm"}
        process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=slave, stderr=slave, start_new_session=True)
    finally:
        os.close(slave)
    said = b""
    deadline = time.monotonic() + seconds
    while True:
        ready, _, _ = select.select([master], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            process.kill()
            raise Unmet("after %g s: no end of %s: %r" % (seconds, command, said))
        try:
            part = os.read(master, 65536)
        except OSError:  # EIO: the other end is closed
            break
        if not part:
            break
        said += part
    os.close(master)
    text = ESCAPE.sub("", said.decode(errors="replace").replace("\r\n", "\n"))
    # What a later line took the place of.
    text = "\n".join(line.rsplit("\r", 1)[-1] for line in text.split("\n"))
    return Answer(command, process.wait(10), text, "")


def into(home, target, *arguments, stdin=None, seconds=60):
    """Runs `qimesh ARGUMENTS` with stdout going to `target`, a path or a descriptor."""
    opened = os.open(target, os.O_WRONLY) if isinstance(target, str) else target
    try:
        command = [str(binary()), *map(str, arguments)]
        done = subprocess.run(command, env=home.env, stdin=subprocess.DEVNULL, stdout=opened, stderr=subprocess.PIPE, text=True, timeout=seconds)
    finally:
        os.close(opened)
    return Answer(command, done.returncode, "", done.stderr)


def closed_pipe():
    """The writing end of a pipe that no process reads, as after `| head -1`."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer
