"""Services that run on the desk and are the robot's own: in its directory, under plain names, with unmodified libqi on both sides."""
import json
import os
import signal
import time

import pytest
import yaml
from homes.callers import READY, REGISTER, ByHand
from homes.contact import befriend
from homes.frames import Refused, number, service_info
from homes.home import PEERS, PYTHON, Home, binary, failures, meet
from homes.keys import Key
from homes.processes import Unmet, until
from homes.tunnel import Device

# How long a stream lives without a path, and how long the robot keeps names beyond that.
RESUME, KEPT = 2, 30
# Most services of one device, and members of the directory that change what is another's.
MOST = 1024
UNREGISTER, UPDATE = 103, 105
# What a program does that knows of no address: libqi's own Application finds its directory.
APPLICATION = """
import qi, sys
class Vision:
    def look(self): return "seen"
app = qi.Application(["vision"])
app.start()
app.session.registerService(sys.argv[1], Vision())
app.run()
"""


def write_home(home, server, **rules):
    home.write_account(server, home.name)
    content = yaml.safe_load(home.config.read_text())
    home.write_config(xmpp=content["xmpp"], paths={"resume": "%ds" % RESUME, "return-time": "%ds" % KEPT})
    policy = home.config.parent / "policy.yaml"
    policy.touch(mode=0o600)
    policy.write_text(json.dumps({"rules": [{"who": "domain:mesh.test", "allow": ["*"], **rules}]}))
    return home.up().wait_online()


@pytest.fixture(scope="module")
def robot(module_folder, server):
    with Home(module_folder, "pepper") as home:
        write_home(home, server, register=["Vision*"])
        yield home


@pytest.fixture(scope="module")
def desk(module_folder, server, robot):
    with Home(module_folder, "desk") as home:
        write_home(home, server)
        meet(home, robot, server)
        yield home


def service_command(name):
    return [PYTHON, PEERS / "service.py", "--url", "{url}", "--name", name]


def host(desk, *command, name="host"):
    return desk.start(name, [binary(), "host", "pepper", "--", *command])


def host_service(desk, name):
    child = host(desk, *service_command(name), name="host-" + name)
    child.wait_log(name + " is up at pepper")
    return child


def until_gone(robot, name, seconds=2):
    begin = time.monotonic()
    until(lambda: name not in robot.services(), seconds + 3, "end of " + name)
    assert time.monotonic() - begin < seconds + 0.5, "%s was there for %g s" % (name, time.monotonic() - begin)


def audited(robot, event, target):
    rows = robot.cli("audit", "--event", event, "--target", target, "--json").ok().json["records"]
    return [row for row in rows if row["principal"] == "desk@mesh.test"]


def test_a_service_of_the_desk_is_called_by_a_stock_client_of_the_robot_under_its_plain_name(robot, desk):
    child = host_service(desk, "Vision1")
    row = next(row for row in robot.cli("ls", "--json").ok().json["services"] if row["name"] == "Vision1")
    assert "desk" in row["board"], row
    hosted = robot.cli("status", "--json").ok().json["hosted"]
    assert [(row["service"], row["jid"], row["away"]) for row in hosted] == [("Vision1", "desk@mesh.test", False)], hosted
    assert "Vision1" in robot.services() and "Vision1" not in desk.services()
    checks = robot.battery("--url", robot.url, "--service", "Vision1", "--payload", str(128 * 1024), "--calls", "200",
                           "--deadline", "60", seconds=240)
    assert failures(checks) == []
    records = audited(robot, "register", "Vision1")
    assert records and records[0]["decision"] == "allow" and records[0]["rule"] == 1, records
    os.kill(robot.call("Vision1.pid"), signal.SIGKILL)
    until_gone(robot, "Vision1")
    assert child.wait_end() == 128 + signal.SIGKILL, child.describe()


def test_without_a_rule_a_registration_is_refused_and_audited(robot, desk):
    child = host(desk, *service_command("Motion"), name="refused")
    assert child.wait_end() == 125, child.describe()
    assert "denied: desk@mesh.test may not register Motion (no rule allows it)" in child.log.read_text(), child.describe()
    records = audited(robot, "denied", "Motion")
    assert records and records[-1]["access"] == "register" and records[-1]["decision"] == "deny", records
    assert "Motion" not in robot.services()


def test_a_name_that_exists_is_refused_and_keeps_its_service(robot, desk):
    robot.host("VisionOwn")
    child = host(desk, *service_command("VisionOwn"), name="taken")
    assert child.wait_end() == 125, child.describe()
    assert "is already registered" in child.log.read_text(), child.describe()
    assert robot.call("VisionOwn.concat", "a", 1, "b") == "a1b"
    assert audited(robot, "refused", "VisionOwn")[-1]["decision"] == "deny"


def test_a_program_finds_its_directory_by_itself_and_its_exit_status_is_told(robot, desk):
    child = host(desk, PYTHON, "-c", APPLICATION, "VisionApp", name="application")
    child.wait_log("VisionApp is up at pepper")
    assert robot.call("VisionApp.look") == "seen"
    child.process.send_signal(signal.SIGTERM)
    child.wait_end()
    until_gone(robot, "VisionApp")
    told = desk.cli("host", "pepper", "--", "sh", "-c", "echo $QI_URL {url}; exit 7")
    url, same = told.out.split()
    assert told.code == 7 and url == same and url.startswith("tcp://127.0.0.1:"), str(told)
    assert desk.cli("host", "pepper", "--", "/nowhere/vision").code == 127
    assert desk.cli("host", "salt", "--", "true").code == 125


def test_a_tunnel_takes_services_in_that_were_started_apart(robot, desk):
    tunnel = desk.start("tunnel", [binary(), "tunnel", "pepper", "--register"])
    url = tunnel.wait_line(lambda line: line.startswith("tcp://"))
    service = desk.host("Vision2", url=url, orderly=True)
    tunnel.wait_log("Vision2 is up at pepper")
    assert robot.call("Vision2.concat", "a", 2, "b") == "a2b"
    # The desk's programs at the tunnel have it as their own, and once.
    rows = desk.cli("ls", "--url", url, "--json").ok().json["services"]
    assert [row["name"] for row in rows].count("Vision2") == 1
    service.stop()
    until_gone(robot, "Vision2")
    desk.host("Vision3", url=url)
    tunnel.wait_log("Vision3 is up at pepper")
    tunnel.kill()
    until_gone(robot, "Vision3")
    plain = desk.start("plain", [binary(), "tunnel", "pepper"])
    url = plain.wait_line(lambda line: line.startswith("tcp://"))
    with pytest.raises(Unmet, match="cannot be registered through it"):
        desk.host("Vision4", url=url)


def test_a_hostile_device_takes_nothing_that_is_another_ones_and_has_its_bound(robot, desk, server, module_folder):
    child = host_service(desk, "Vision4")
    own = {row["name"]: row["id"] for row in robot.cli("ls", "--json").ok().json["services"]}
    with Device(server, "carol") as carol:
        befriend(carol, robot, server)
        until(lambda: any(row["subscription"] == "both" for row in robot.devices() if row["jid"] == carol.bare), 20, "contact carol")
        with carol.tunnel(server.jid("pepper") + "/qimesh", Key(module_folder, "carol")) as tunnel:
            hostile = ByHand(tunnel)
            for name in ("Vision4", "ServiceDirectory", "MeshControl3", "Vision/4", "", "Vision" + "n" * 300):
                with pytest.raises(Refused):
                    hostile.register(name)
            for id in own.values():
                for action in (UNREGISTER, READY):
                    with pytest.raises(Refused):
                        tunnel.call(number("I", id), action=action)
            with pytest.raises(Refused):
                tunnel.call(service_info("Vision4"), action=UPDATE)
            with pytest.raises(Refused, match="unregister some"):
                for count in range(MOST + 1):
                    tunnel.call(service_info("VisionOf%d" % count), action=REGISTER)
            assert count == MOST
            assert robot.call("Vision4.concat", "a", 4, "b") == "a4b"
    child.stop()


def test_a_service_whose_path_is_lost_is_waited_for_and_comes_back_under_the_same_proxy(robot, desk, server):
    child = host_service(desk, "Vision5")
    client = robot.start("stock", [PYTHON, PEERS.parents[1] / "EndToEnd/homes/stock.py", "--url", robot.url])
    client.wait_line()

    def ask(*question):
        return client.ask(json.dumps(question))
    assert ask("listen", "Vision5", "spoken").get("error") is None
    assert ask("call", "Vision5", "concat", "a", 1, "b") == {"value": "a1b"}
    server.stop()
    try:
        child.wait_log("Vision5 is away from pepper", RESUME + 20)
        until(lambda: "is away, and expected back" in str(ask("call", "Vision5", "concat", "a", 2, "b")), RESUME + 20,
              "word that it is away")
        assert "Vision5" in robot.services(), "the name was let go"
        hosted = {row["service"]: row["away"] for row in robot.cli("status", "--json").ok().json["hosted"]}
        assert hosted["Vision5"] is True, hosted
    finally:
        server.start()
    until(lambda: ask("call", "Vision5", "concat", "a", 3, "b") == {"value": "a3b"}, KEPT, "the service back under its proxy")
    assert ask("call", "Vision5", "say", "again").get("error") is None
    assert ask("hear", "again") == {"value": True}, "the subscription did not come back"
    child.stop()


def test_a_host_that_stops_in_order_takes_its_services_with_it(robot, desk):
    child = host_service(desk, "Vision6")
    desk.down()
    until_gone(robot, "Vision6")
    assert child.wait_end() == 125, child.describe()
    desk.up(name="node-2").wait_online()
    desk.wait_device("pepper")


def test_a_host_that_was_started_again_leaves_nothing_of_before(robot, desk):
    host_service(desk, "Vision7")
    desk.node.kill()
    desk.up(name="node-3").wait_online()
    desk.wait_device("pepper")
    # The new process opens a stream of its own, and says so of what was before.
    desk.cli("ls", "pepper", "--json").ok()
    until_gone(robot, "Vision7")
