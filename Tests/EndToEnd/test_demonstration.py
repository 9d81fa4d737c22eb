"""The demonstration of the README, as a person runs it once everything is installed and built."""
import pathlib
import shutil
import subprocess
import sys

from homes.processes import ROOT, until

COMMAND = [sys.executable, ROOT / "Examples/two-homes/demonstration.py"]
STEPS = 12


def left_over():
    """Processes whose command line or home is in a folder of the demonstration."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if b"/tmp/two-homes-" in (process / "cmdline").read_bytes() + (process / "environ").read_bytes():
                found.append(process.name)
        except OSError:
            pass  # it ended while we looked, or belongs to another user
    return found


def test_every_step_is_shown_and_no_process_is_left():
    before = left_over()
    done = subprocess.run(COMMAND, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "%2d. " % STEPS in done.stdout and "FAILED" not in done.stdout
    until(lambda: set(left_over()) <= set(before), 5, "end of all processes")


def test_failure_names_the_reason_and_keeps_the_logs(tmp_path):
    """A node that cannot start, in place of the real one."""
    broken = tmp_path / "qimesh"
    broken.write_text("#!/bin/sh\necho 'broken on purpose' >&2\nexit 1\n")
    broken.chmod(0o755)
    before = left_over()
    done = subprocess.run(COMMAND, capture_output=True, text=True, timeout=60, env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
                                                                                 "QIMESH_BINARY": str(broken)})
    assert done.returncode == 1 and "broken on purpose" in done.stderr
    folder = pathlib.Path(done.stderr.rsplit("logs: ", 1)[1].strip())
    assert (folder / "pepper/node.log").read_text() == "broken on purpose\n"
    shutil.rmtree(folder)
    until(lambda: set(left_over()) <= set(before), 5, "end of all processes")
