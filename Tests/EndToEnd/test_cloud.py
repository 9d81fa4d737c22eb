"""Services that several devices of a group offer: which one answers, and what becomes of calls when it dies."""
import collections
import json
import shutil
import signal
import time

import pytest
import yaml

from homes.home import PYTHON, Home, meet
from homes.processes import ROOT, until
from homes.prosody import Prosody

CLOUD = ROOT / "Examples/cloud"
DEVICES = ["cloud-1", "cloud-2", "cloud-3"]
NAME = "vision/Detector"


class Cloud:
    """A robot's node, and devices whose names fit its group `vision`."""

    def __init__(self, folder, groups=None):
        self.server = Prosody(folder, {name: name + "-secret" for name in ["robot", *DEVICES]})
        self.robot = Home(folder, "robot")
        self.homes = {name: Home(folder, name) for name in DEVICES}
        self.groups = groups or {"vision": ["cloud-*"]}
        self.detectors, self.loads = {}, []

    def __enter__(self):
        self.server.__enter__()
        self.robot.write_account(self.server, "robot")
        self.configure(self.groups)
        self.robot.up().wait_online()
        return self

    def __exit__(self, *what):
        for home in [self.robot, *self.homes.values()]:
            home.close()
        self.server.__exit__(*what)

    def configure(self, groups):
        content = yaml.safe_load(self.robot.config.read_text())
        content["groups"] = groups
        self.robot.config.write_text(yaml.safe_dump(content))

    def add(self, name, script=CLOUD / "detector.py", service=True):
        """Starts a device, and makes it a contact of the robot's; nothing is configured there."""
        home = self.homes[name]
        home.write_account(self.server, name).up().wait_online()
        if service:
            self.serve(name, script)
        meet(self.robot, home, self.server)
        return home

    def serve(self, name, script=CLOUD / "detector.py"):
        home = self.homes[name]
        self.detectors[name] = home.start("detector", [PYTHON, script, home.url, name, home.folder / "record"])
        self.detectors[name].wait_log("registered", 20)

    def kill(self, name):
        """As when its power is cut: nothing says goodbye."""
        for child in (self.homes[name].node, self.detectors[name]):
            child.process.kill()

    def load(self, callers):
        """Callers in processes of their own, at most 25 in each: what a client's own threads let it do is not what is looked at."""
        number = len(self.loads)
        for count in [25] * (callers // 25) + [callers % 25] * (callers % 25 > 0):
            self.loads.append(self.robot.start("load-%d" % len(self.loads), [
                PYTHON, CLOUD / "load.py", self.robot.url, NAME, str(count)]))
        for load in self.loads[number:]:
            load.wait_line(lambda line: "calling" in line, 60)

    def end_load(self):
        """What all callers have had, together."""
        for load in self.loads:
            load.process.stdin.write(b"stop\n")
            load.process.stdin.flush()
        results = [json.loads(load.wait_line(lambda line: "answered" in line, 120)) for load in self.loads]
        answered = sum((collections.Counter(result["answered"]) for result in results), collections.Counter())
        return {
            "answered": answered, "learned": [id for result in results for id in result["learned"]],
            "failed": [row for result in results for row in result["failed"].items()],
            "lost": [text for result in results for text in result["lost"]],
            "hung": sum(result["hung"] for result in results), "slowest": max(result["slowest"] for result in results)}

    def members(self):
        """What `qimesh path` says of the group's devices."""
        return {row["name"]: row for row in self.robot.cli("path", "vision", "--json").ok().json["group"]["members"]}

    def wait_ready(self, name):
        until(lambda: self.members()[name]["services"].get("Detector") == "ready", 30,
              lambda: "%s ready in %s\n%s" % (name, self.members(), self.robot.node.describe()))

    def wait_asked(self, name):
        """Until a device is a member; its service is asked for at the next call."""
        until(lambda: name in self.members(), 30, lambda: "%s in %s" % (name, self.members()))

    def recorded(self, kind):
        """How often each call of a kind was begun, at all devices together."""
        counts = collections.Counter()
        for home in self.homes.values():
            record = home.folder / "record"
            if record.exists():
                counts.update(line.split()[1] for line in record.read_text().splitlines() if line.startswith(kind + " "))
        return counts


@pytest.fixture
def cloud(folder):
    with Cloud(folder) as cloud:
        yield cloud


def test_a_name_of_a_group_is_answered_by_a_device_of_it_and_commands_show_which(cloud):
    robot = cloud.robot
    missing = robot.cli("call", NAME + ".detect", "a", "--json")
    assert missing.error["code"] == "not-found" and "no contact fits" in missing.error["message"], str(missing)
    assert missing.error["hint"] == "qimesh path vision", str(missing)
    cloud.add("cloud-1")
    assert robot.cli("call", NAME + ".detect", "a").ok().out == "cloud-1\n"
    cloud.add("cloud-2", service=False)
    assert robot.call(NAME + ".learn", "b") == "cloud-1"
    assert "Detector" in robot.services("vision")
    described = robot.cli("info", NAME).ok().out
    assert "answered by one of: cloud-1 (" in described and "[idempotent]" in described, described
    shown = robot.cli("path", "vision").ok().out
    assert "100 %" in shown and "cloud-2" in shown, shown
    row = cloud.members()["cloud-1"]
    assert row["online"] and row["answered"] == 2 and row["lost"] == 0, row
    for command in (["devices"], ["status"]):
        groups = robot.cli(*command, "--json").ok().json["groups"]
        assert [group["name"] for group in groups] == ["vision"] and len(groups[0]["members"]) == 2, groups
        assert "100 %" in robot.cli(*command).ok().out
    lacking = robot.cli("call", "vision/Nothing.do", "--json")
    assert lacking.error["code"] == "not-found" and 'has a service "Nothing"' in lacking.error["message"], str(lacking)
    refused = robot.cli("path", "vision", "--require", "direct", "--json")
    assert refused.error["code"] == "usage", str(refused)
    cloud.homes["cloud-1"].down()
    cloud.homes["cloud-2"].down()
    robot.wait_device("cloud-1", "offline")
    robot.wait_device("cloud-2", "offline")
    away = robot.cli("call", NAME + ".detect", "a", "--json", timeout=60)
    assert away.error["code"] == "offline" and "no device of the group vision is online" in away.error["message"], str(away)


def test_a_group_is_read_again_and_a_name_with_two_meanings_is_refused(cloud):
    cloud.add("cloud-1")
    cloud.configure({"vision": ["cloud-*"], "cloud-1": ["cloud-*"], "other": ["cloud-1"]})
    cloud.robot.node.process.send_signal(signal.SIGHUP)
    until(lambda: cloud.robot.cli("call", "other/Detector.detect", "a").out == "cloud-1\n", 20, "a group of the new configuration")
    refused = cloud.robot.cli("call", "cloud-1/Detector.detect", "a", "--json")
    assert refused.code and "is a group of the configuration and what cloud-1@" in refused.error["message"], str(refused)


def test_an_instance_that_hangs_is_left_after_the_time_of_liveness(cloud):
    """Its server calls it available, and its socket is open: only its silence tells."""
    for name in DEVICES[:2]:
        cloud.add(name)
    cloud.load(10)
    begin = time.monotonic()
    cloud.homes["cloud-1"].node.process.send_signal(signal.SIGSTOP)
    before = cloud.members()["cloud-1"]["proxies"]
    assert before > 0
    until(lambda: cloud.members()["cloud-1"]["proxies"] == 0, 40, lambda: "proxies that left: %s" % cloud.members())
    assert time.monotonic() - begin > 10, "left before it was silent for long"
    result = cloud.end_load()
    cloud.homes["cloud-1"].node.process.send_signal(signal.SIGCONT)
    assert result["hung"] == 0 and not result["lost"] and result["slowest"] < 20, (result["slowest"], result["lost"])
    assert all("may have run" in text for text, _ in result["failed"]), result["failed"]
    # What it takes up again when it goes on has been given up, and is made nowhere else.
    assert cloud.robot.call(NAME + ".detect", "last") in DEVICES
    assert max(cloud.recorded("learn").values()) == 1


def test_programs_of_one_account_with_one_key_are_instances_of_their_own(cloud):
    """Two nodes log in to the account of cloud-1, with its key, under resources of their own."""
    first, second = cloud.add("cloud-1"), cloud.homes["cloud-2"]
    shutil.copytree(first.folder / ".local/state/qimesh", second.folder / ".local/state/qimesh", ignore=shutil.ignore_patterns("*.log", "*journal*"))
    second.write_account(cloud.server, "cloud-1", resource="second").up().wait_online()
    cloud.serve("cloud-2")
    assert cloud.robot.call(NAME + ".learn", "a")
    for program in ("cloud-1/qimesh", "cloud-1/second"):
        cloud.wait_asked(program)
    cloud.load(20)
    cloud.kill("cloud-1")
    # The one that is left is the device again.
    until(lambda: cloud.members().get("cloud-1", {}).get("answered", 0) > 40, 40, lambda: "calls at the other: %s" % cloud.members())
    result = cloud.end_load()
    assert result["hung"] == 0 and not result["lost"] and max(cloud.recorded("learn").values()) == 1, result
    assert set(result["answered"]) == {"cloud-1", "cloud-2"}, result["answered"]


def test_a_hundred_callers_go_on_when_an_instance_is_killed_and_another_is_added(cloud):
    for name in DEVICES[:2]:
        cloud.add(name)
    cloud.load(100)
    cloud.kill("cloud-1")
    before = cloud.members()["cloud-2"]["answered"]
    until(lambda: cloud.members()["cloud-2"]["answered"] > before + 200, 60, lambda: "calls at cloud-2: %s" % cloud.members())
    cloud.add("cloud-3")
    cloud.wait_ready("cloud-3")
    cloud.load(20)
    result = cloud.end_load()
    told = cloud.members()
    assert result["hung"] == 0 and result["slowest"] < 20, (result["hung"], result["slowest"])
    assert not result["lost"], "calls that may run twice failed: %s" % result["lost"][:3]
    begun = cloud.recorded("learn")
    assert max(begun.values()) == 1, "run twice: %s" % [id for id, count in begun.items() if count > 1][:5]
    assert set(result["learned"]) <= set(begun)
    assert all("may have run" in text or "has not run" in text for text, _ in result["failed"]), [text for text, _ in result["failed"]]
    not_run = {id for text, ids in result["failed"] if "has not run" in text for id in ids}
    assert not not_run & set(begun), "said not to have run, and has"
    # Each has its share, as the callers counted it.
    assert set(result["answered"]) == set(DEVICES), result["answered"]
    assert {name: told[name]["answered"] for name in DEVICES} == dict(result["answered"])
    assert told["cloud-1"]["lost"] == sum(len(ids) for _, ids in result["failed"]), (told, result["failed"])
