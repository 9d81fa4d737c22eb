"""The steps of the demonstration, each with the time it took. Run it through `run`, which installs and builds first."""
import collections
import json
import pathlib
import shutil
import signal
import sys
import time

import yaml

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parents[1] / "Tests/EndToEnd"))

from homes.home import PYTHON, Home, meet  # noqa: E402
from homes.processes import new_scratch, until  # noqa: E402
from homes.prosody import Prosody  # noqa: E402

NAME = "vision/Detector"
CALLERS, PROCESSES = 100, 4


class Step:
    """Prints what is being done, then how long it took and what came of it."""

    def __init__(self, title):
        self.title, self.lines = title, []

    def __enter__(self):
        self.start = time.monotonic()
        print("- %s" % self.title, end=" … ", flush=True)
        return self

    def __exit__(self, kind, *_):
        print("FAILED" if kind else "%.2f s" % (time.monotonic() - self.start), flush=True)
        for line in self.lines if not kind else []:
            print("      " + line, flush=True)

    def show(self, text):
        self.lines = text.rstrip().splitlines()


def add(home, robot, server):
    """A cloud device: a node with an account, and an instance of the service. Nothing is said of it in the robot's configuration."""
    home.write_account(server, home.name).up().wait_online()
    home.detector = home.start("detector", [PYTHON, HERE / "detector.py", home.url, home.name, home.folder / "record"])
    home.detector.wait_log("registered", 20)
    meet(robot, home, server)


def members(robot):
    return {row["name"]: row for row in robot.cli("path", "vision", "--json").ok().json["group"]["members"]}


def call(robot, callers, number):
    """Callers in a process of their own; it says when each has had an answer."""
    return robot.start("load-%d" % number, [PYTHON, HERE / "load.py", robot.url, NAME, str(callers)])


def end(load):
    """What those callers have had."""
    load.process.stdin.write(b"stop\n")
    load.process.stdin.flush()
    return json.loads(load.wait_line(lambda line: "answered" in line, 120))


def show(folder):
    names = ["vision-1", "vision-2", "vision-3"]
    with Prosody(folder, {name: name + "-secret" for name in ["robot", *names]}) as server, Home(folder, "robot") as robot, \
            Home(folder, names[0]) as first, Home(folder, names[1]) as second, Home(folder, names[2]) as third:
        with Step("a robot's node goes up, with a group of all contacts called vision-*"):
            robot.write_account(server, "robot")
            content = yaml.safe_load(robot.config.read_text())
            robot.config.write_text(yaml.safe_dump({**content, "groups": {"vision": ["vision-*"]}}))
            robot.up().wait_online()
        with Step("two devices with the service Detector become its contacts"):
            add(first, robot, server)
            add(second, robot, server)
        with Step("a hundred callers on unmodified Python call %s" % NAME) as step:
            loads = [call(robot, CALLERS // PROCESSES, number) for number in range(PROCESSES)]
            for load in loads:
                load.wait_line(lambda line: "calling" in line, 120)
            step.show(robot.cli("path", "vision").ok().out)
        with Step("vision-1 is killed, as if its power were cut") as step:
            first.node.process.kill()
            first.detector.process.kill()
            before = members(robot)["vision-2"]["answered"]
            until(lambda: members(robot)["vision-2"]["answered"] > before + CALLERS, 60, "calls that go on at vision-2")
            step.show(robot.cli("path", "vision").ok().out)
        with Step("vision-3 is added, and twenty more callers come") as step:
            add(third, robot, server)
            until(lambda: members(robot)["vision-3"]["services"].get("Detector") == "ready", 30, "a third instance")
            loads.append(call(robot, 20, PROCESSES))
            loads[-1].wait_line(lambda line: "calling" in line, 60)
            until(lambda: members(robot)["vision-3"]["answered"] > 20, 60, "calls at vision-3")
            step.show(robot.cli("path", "vision").ok().out)
        with Step("the callers end") as step:
            results = [end(load) for load in loads]
            answered = sum((collections.Counter(result["answered"]) for result in results), collections.Counter())
            failed = [row for result in results for row in result["failed"].items()]
            began = [line.split()[1] for home in (first, second, third) for line in (home.folder / "record").read_text().splitlines()
                     if line.startswith("learn ")]
            expect(not any(result["hung"] or result["lost"] for result in results), results)
            expect(len(began) == len(set(began)), "a call that may not run twice did")
            step.show("answered %s\nslowest %.2f s, none hung\ncalls of detect (marked idempotent) that failed: 0\n"
                      "calls of learn that ran twice: 0; that failed: %d%s" % (
                          dict(answered), max(result["slowest"] for result in results), sum(len(ids) for _, ids in failed),
                          "".join("\n  " + text for text, _ in failed[:1])))


def expect(condition, what):
    if not condition:
        raise AssertionError(str(what))


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder, start = new_scratch("cloud"), time.monotonic()
    try:
        show(folder)
    except (AssertionError, OSError, KeyError, ValueError) as failure:
        print("\nerror: %s\nlogs: %s" % (failure, folder), file=sys.stderr)
        sys.exit(1)
    except (KeyboardInterrupt, SystemExit):
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder)
    print("All shown in %.1f s; no process is left." % (time.monotonic() - start))


if __name__ == "__main__":
    main()
