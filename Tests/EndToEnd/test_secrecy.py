"""What another program of the same user learns of a node: nothing."""
import os
import pathlib
import subprocess
import sys
import tempfile

import pytest
from homes.home import binary
from homes.processes import free_port, until

# Root reads everything: then both are somebody else.
OTHER = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}

READ = """
import sys
for name in ("environ", "mem", "maps"):
    try:
        open("/proc/%s/%s" % (sys.argv[1], name), "rb").read(1)
        print(name)
    except PermissionError:
        pass
    except OSError:  # of mem, whose first page is not mapped: it was opened
        print(name)
"""


def read(pid):
    """What a program of that user can read of the process."""
    done = subprocess.run([sys.executable, "-c", READ, str(pid)], capture_output=True, text=True, check=True, cwd="/", **OTHER)
    return done.stdout.split()


@pytest.fixture
def home():
    with tempfile.TemporaryDirectory(prefix="qimesh-", dir="/tmp") as name:
        folder = pathlib.Path(name)
        if OTHER:
            os.chown(folder, OTHER["user"], OTHER["group"])
        yield folder


def test_memory_and_environment_of_a_node_are_closed(home):
    env = {"HOME": str(home), "PATH": os.environ["PATH"], "QIMESH_XMPP_PASSWORD": "hush-hush"}
    config = home / "qimesh.yaml"
    config.write_text("internal: { listen: [\"unix:%s/sd.sock\", \"tcp://127.0.0.1:%d\"] }\n" % (home, free_port()))
    log = open(home / "log", "wb")
    node = subprocess.Popen([binary(), "up", "--config", str(config)], env=env, stdout=subprocess.PIPE, stderr=log, cwd="/", **OTHER)
    plain = subprocess.Popen(["sleep", "60"], env=env, cwd="/", **OTHER)
    try:
        wait_ready(home / "log", node)
        assert "environ" in read(plain.pid), "this test shows nothing: no process of this user can be read"
        assert read(node.pid) == []
        limits = pathlib.Path("/proc/%d/limits" % node.pid).read_text().splitlines()
        assert [line.split()[4:6] for line in limits if line.startswith("Max core file size")] == [["0", "0"]], limits
    finally:
        for process in (node, plain):
            process.terminate()
            process.wait(20)
        log.close()


def wait_ready(path, node):
    def look():
        assert node.poll() is None, path.read_text()
        return next((line for line in path.read_text().splitlines() if "ready: directory" in line), None)
    return until(look, 20, lambda: "ready node:\n" + path.read_text())
