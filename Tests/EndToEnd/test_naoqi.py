"""A directory of libqi's, NAOqi's on a robot, whose services are those of the device: on the mesh, at the node, and back again."""
import json

import pytest
import yaml
from homes.home import PYTHON, Home, failures, meet
from homes.processes import ROOT, free_port, until
from homes.prosody import Prosody

ACCOUNTS = {"robot": "robot-secret", "desk": "desk-secret"}
CHECKS = 18  # of client.py, the connection included
OTHER = """
import sys, threading, qi
class Other:
    def first(self):
        return "other"
session = qi.Session()
session.connect(sys.argv[1])
session.registerService("Turncoat", Other())
print("ready", flush=True)
threading.Event().wait()
"""


class Robot(Home):
    """A home with a directory of libqi's beside the node, where NAOqi's would be."""

    def __init__(self, folder, name="robot"):
        super().__init__(folder, name)
        self.naoqi = "tcp://127.0.0.1:%d" % free_port()
        self.directory = None

    def start_directory(self):
        self.directory = self.peer("directory", "--leash", "--listen", self.naoqi)
        assert self.directory.wait_line() == self.naoqi
        return self

    def host_there(self, *services, **options):
        return self.host(*services, url=self.naoqi, **options)

    def write_config(self, **sections):
        return super().write_config(**{"device": {"name": self.name, "naoqi": self.naoqi}, **sections})

    def ids_by_name(self):
        return {row["name"]: row["id"] for row in self.cli("ls", "--json").ok().json["services"]}

    def wait_listed(self, *names, gone=(), seconds=20):
        """Until the node lists all of `names` and none of `gone`."""
        last = []

        def right():
            last[:] = self.services()
            return set(names) <= set(last) and not set(gone) & set(last)
        until(right, seconds, lambda: "%s without %s in %s\n%s" % (names, gone, last, self.node.describe()))


@pytest.fixture(scope="module")
def xmpp(module_folder):
    with Prosody(module_folder, ACCOUNTS) as prosody:
        yield prosody


@pytest.fixture(scope="module")
def world(module_folder, xmpp):
    """(robot, desk): the node of the robot is up before the directory beside it."""
    with Robot(module_folder) as robot, Home(module_folder, "desk") as desk:
        robot.write_account(xmpp, "robot").let_contacts_do_everything(xmpp).up().wait_online()
        desk.write_account(xmpp, "desk").let_contacts_do_everything(xmpp).up().wait_online()
        meet(desk, robot, xmpp)
        robot.start_directory()
        robot.peer_there = robot.host_there("Peer")
        robot.wait_listed("Peer")
        yield robot, desk


def test_stock_client_of_another_home_uses_the_services_of_a_directory_that_came_after_the_node(world):
    robot, desk = world
    checks = desk.battery("--url", desk.url, "--service", "robot/Peer", seconds=180)
    assert failures(checks) == [] and len(checks) == CHECKS


def test_stock_client_of_the_node_uses_them_too(world):
    robot, _ = world
    checks = robot.battery("--url", robot.url, seconds=180)
    assert failures(checks) == [] and len(checks) == CHECKS


def test_commands_say_where_services_come_from(world):
    robot, desk = world
    robot.host("Own")
    rows = {row["name"]: row for row in robot.cli("ls", "--json").ok().json["services"]}
    assert rows["Peer"]["board"] == "naoqi" and rows["Own"]["board"] == "robot"
    assert "Peer" in desk.services("robot") and "Own" in desk.services("robot")
    status = robot.cli("status", "--json").ok().json["naoqi"]
    assert status["address"] == robot.naoqi and status["trouble"] in (None, "") and status["services"] == 1
    assert "naoqi      %s  (1 service here" % robot.naoqi in robot.cli("status").ok().out
    assert robot.cli("info", "Peer").ok().out.startswith("Peer  naoqi  ")
    assert robot.cli("info", "Peer", "--json").ok().json["board"] == "naoqi"
    assert robot.cli("info", "Own").ok().out.startswith("Own  ") and "naoqi" not in robot.cli("info", "Own").ok().out.splitlines()[0]


def test_name_that_is_listed_there_cannot_be_registered_here(world):
    robot, _ = world
    refused = robot.peer("service", "--leash", "--url", robot.url, "--name", "Peer", name="second-peer")
    assert refused.wait_end(20) != 0
    assert "already registered" in refused.log.read_text()


def test_service_that_is_registered_here_is_found_there_until_it_goes(world):
    robot, _ = world
    host = robot.host("Mine")

    def there():
        return robot.services_at(robot.naoqi)
    until(lambda: "Mine" in there(), 5, "Mine in NAOqi's list")
    checks = robot.battery("--url", robot.naoqi, "--service", "Mine", seconds=180)
    assert failures(checks) == [] and len(checks) == CHECKS
    host.kill()
    until(lambda: "Mine" not in there(), 2, "list of NAOqi without Mine")


def test_node_answers_there_for_what_is_registered_and_nothing_else(world):
    """No directory, no control interface, and none of the services that are the other directory's own."""
    robot, _ = world
    robot.host("Open")
    until(lambda: "Open" in robot.services_at(robot.naoqi), 5, "Open in NAOqi's list")
    row = next(row for row in robot.cli("ls", "--url", robot.naoqi, "--json").ok().json["services"] if row["name"] == "Open")
    address = next(url for url in row["endpoints"] if url.startswith("tcp://127.0.0.1:"))
    refused = robot.cli("ls", "--url", address, "--json", "--timeout", "5s")
    assert refused.code != 0 and "could not be handled" in refused.error["message"], str(refused)


def test_service_that_comes_back_with_other_members_is_another(world):
    """Its users call members by number: they are told that the one they know is gone."""
    robot, desk = world
    first = robot.host_there("Turncoat")
    robot.wait_listed("Turncoat")
    crowd = desk.peer("crowd", "--url", desk.url, "--count", "1", "--service", "robot/Turncoat", name="turncoats")
    crowd.wait_line(lambda line: json.loads(line) == {"ready": 1}, 60, "crowd")
    first.kill()
    other = robot.start("other-turncoat", [PYTHON, "-c", OTHER, robot.naoqi])
    other.wait_line(lambda line: line == "ready", 20)

    def is_gone():
        answers = crowd.ask("call x")
        assert answers["ok"] == 0, answers
        return "try again" not in answers["errors"][0]
    until(is_gone, 20, lambda: "end of the proxy: " + crowd.describe())
    assert desk.call("robot/Turncoat.first") == "other"


def test_client_of_another_home_stays_connected_over_a_restart_there(world):
    """Its proxy and its subscription are the same ones before and after, and calls meanwhile fail at once."""
    robot, desk = world
    crowd = desk.peer("crowd", "--url", desk.url, "--count", "1", "--service", "robot/Peer", name="outer-crowd")
    crowd.wait_line(lambda line: json.loads(line) == {"ready": 1}, 60, "crowd")
    assert crowd.ask("call x")["ok"] == 1
    robot.directory.kill()
    robot.peer_there.kill()
    refused = until(lambda: [answer for answer in [crowd.ask("call x")] if not answer["ok"]], 10, "call that fails")[0]
    assert "try again" in refused["errors"][0], refused
    robot.start_directory()
    robot.peer_there = robot.host_there("Peer")
    until(lambda: crowd.ask("call x")["ok"] == 1, 30, lambda: "answers after the restart: " + crowd.describe())
    robot.call("Peer.say", "back")
    assert crowd.ask("heard back")["heard"] == 1
    assert crowd.ask("state_of_sessions") == {"connected": 1, "lost": 0}


@pytest.fixture
def robot(folder):
    """One home with a directory of libqi's beside its node, neither of them up."""
    with Robot(folder) as one:
        yield one


def test_directory_that_was_there_before_the_node_and_is_killed_and_restarted(robot):
    """The client stays connected, and its proxy and subscriptions come back to the same service."""
    robot.start_directory()
    host = robot.host_there("Peer")
    robot.write_config().up()
    robot.wait_listed("Peer")
    number = robot.ids_by_name()["Peer"]
    crowd = robot.peer("crowd", "--url", robot.url, "--count", "1")
    crowd.wait_line(lambda line: json.loads(line) == {"ready": 1}, 60, "crowd")
    assert crowd.ask("call x")["ok"] == 1
    robot.directory.kill()
    host.kill()
    until(lambda: robot.cli("status", "--json").ok().json["naoqi"]["trouble"], 10, "trouble in the status")
    refused = crowd.ask("call x")
    assert refused["ok"] == 0 and "try again" in refused["errors"][0], refused
    robot.start_directory()
    robot.host_there("Peer")
    robot.wait_listed("Peer")
    until(lambda: crowd.ask("call x")["ok"] == 1, 30, lambda: "answers after the restart: " + crowd.describe())
    assert robot.ids_by_name()["Peer"] == number
    assert not robot.cli("status", "--json").ok().json["naoqi"]["trouble"]


def test_hundred_services_of_one_process(robot):
    robot.start_directory()
    robot.write_config().up()
    many = robot.peer("many", "--leash", "--url", robot.naoqi, "--count", "100")
    many.wait_line(lambda line: line == "ready", 60, "ready line")
    names = ["Many%d" % number for number in range(100)]
    robot.wait_listed(*names)
    assert len(set(robot.ids_by_name().values())) == 101
    for number in (0, 42, 99):
        assert robot.call("Many%d.answer" % number) == number
    many.kill()
    robot.wait_listed(gone=names, seconds=10)


def test_service_registered_at_the_node_is_registered_there_again_after_a_restart(robot):
    robot.start_directory()
    robot.write_config().up()
    robot.host("Mine")
    until(lambda: "Mine" in robot.services_at(robot.naoqi), 10, "Mine in NAOqi's list")
    robot.directory.kill()
    robot.start_directory()
    until(lambda: "Mine" in robot.services_at(robot.naoqi), 20, lambda: "Mine in NAOqi's list again: " + robot.node.describe())
    checks = robot.battery("--url", robot.naoqi, "--service", "Mine", seconds=180)
    assert failures(checks) == []


def test_publish_names_what_is_found_there(robot):
    robot.start_directory()
    robot.write_config(device={"name": "robot", "naoqi": {"address": robot.naoqi, "publish": ["Vis*"]}}).up()
    robot.host("Mine", "Vision")
    until(lambda: "Vision" in robot.services_at(robot.naoqi), 10, "Vision in NAOqi's list")
    assert robot.services_at(robot.naoqi) == ["ServiceDirectory", "Vision"]
    assert robot.cli("status", "--json").ok().json["naoqi"]["published"] == ["Vision"]


def test_another_policy_reaches_those_who_found_a_service_there(robot):
    robot.start_directory()
    policy = robot.config.parent / "policy.yaml"
    robot.write_config()
    policy.write_text(yaml.safe_dump({"rules": []}))
    robot.up()
    robot.host("Mine")
    until(lambda: "Mine" in robot.services_at(robot.naoqi), 10, "Mine in NAOqi's list")
    crowd = robot.peer("crowd", "--url", robot.naoqi, "--count", "1", "--service", "Mine")
    crowd.wait_line(lambda line: json.loads(line) == {"ready": 1}, 60, "crowd")
    assert crowd.ask("call x")["ok"] == 1
    policy.write_text(yaml.safe_dump({"rules": [{"who": "host:127.0.0.1", "deny": ["Mine.echo_string"], "allow": ["*"]}]}))
    robot.cli("policy", "reload").ok()
    refused = crowd.ask("call x")
    assert refused["ok"] == 0 and "denied" in refused["errors"][0], refused


def test_directory_that_wants_user_and_token_over_tls(folder):
    """A gateway of ours stands where NAOqi 2.9 has one."""
    with Home(folder, "newer") as newer, Robot(folder) as robot:
        port = free_port()
        newer.write_config(gateway={"listen": ["tcps://127.0.0.1:%d" % port]})
        added = newer.cli("user", "add", "nao", "--json").ok().json
        (newer.config.parent / "policy.yaml").write_text(yaml.safe_dump({"rules": [{"who": "user:nao", "allow": ["Peer.*"]}]}))
        newer.up()
        newer.host("Peer", "Hidden")
        address = "tcps://127.0.0.1:%d" % port
        token = robot.folder / "nao.token"
        token.touch(mode=0o600)
        token.write_text(added["token"] + "\n")
        login = {"address": address, "user": "nao", "token-file": str(token)}
        robot.write_config(device={"name": "robot", "naoqi": login})
        refused = robot.cli("up", "--json")
        assert refused.code == 7 and "no key is known for " + address in refused.error["message"], str(refused)
        assert refused.error["hint"] == "qimesh ls --url %s --user nao --token-file %s" % (address, token)
        robot.write_config(device={"name": "robot", "naoqi": {**login, "fingerprint": added["fingerprint"]}}).up()
        robot.wait_listed("Peer", gone=["Hidden"])
        checks = robot.battery("--url", robot.url, seconds=180)
        assert failures(checks) == [] and len(checks) == CHECKS
        assert added["token"] not in robot.node.log.read_text()


def test_gateway_of_the_node_shows_them_as_the_policy_says(robot):
    port = free_port()
    robot.start_directory()
    robot.host_there("Peer", "Secret")
    robot.write_config(gateway={"listen": ["tcps://127.0.0.1:%d" % port]})
    added = robot.cli("user", "add", "op", "--json").ok().json
    token = robot.folder / "op.token"
    token.touch(mode=0o600)
    token.write_text(added["token"] + "\n")
    (robot.config.parent / "policy.yaml").write_text(yaml.safe_dump({"rules": [{"who": "user:op", "allow": ["Peer.*"]}]}))
    robot.up()
    robot.wait_listed("Peer", "Secret")
    door = ["--url", "tcps://127.0.0.1:%d" % port, "--user", "op", "--token-file", str(token)]

    def listed():
        rows = robot.cli("ls", *door, "--fingerprint", added["fingerprint"], "--json").ok().json["services"]
        return sorted(row["name"] for row in rows) == ["Peer", "ServiceDirectory"]
    until(listed, 10, "Peer alone at the gateway")
    checks = robot.battery(*door, seconds=180)
    assert failures(checks) == [] and len(checks) == CHECKS
    hidden = robot.cli("call", "Secret.echo_string", "x", *door)
    assert hidden.code != 0 and "no service" in hidden.err


def test_port_that_a_directory_of_libqi_has_is_told_with_the_setting_for_it(robot):
    robot.start_directory()
    robot.write_config(device={"name": "robot"}, internal={"listen": ["unix:%s" % robot.unix_socket, robot.naoqi]})
    refused = robot.cli("up", "--json")
    assert refused.code != 0 and "a service directory answers there, NAOqi's as a rule" in refused.error["message"], str(refused)
    setting = refused.error["hint"].rsplit("configuration: ", 1)[1]
    robot.write_config(**yaml.safe_load(setting)).up()
    robot.host_there("Peer")
    robot.wait_listed("Peer")


def test_robot_of_before_capabilities_and_logins(robot):
    """A directory that has no service 0, infos without uid and messages without flags."""
    port = int(robot.naoqi.rsplit(":", 1)[1])
    old = robot.start("old-directory", [PYTHON, ROOT / "Tests/EndToEnd/homes/old_directory.py", str(port)])
    old.wait_line(lambda line: line == "ready")
    robot.write_config().up()
    robot.wait_listed("Peer")
    crowd = robot.peer("crowd", "--url", robot.url, "--count", "1")
    crowd.wait_line(lambda line: json.loads(line) == {"ready": 1}, 60, "crowd")
    assert crowd.ask("call x")["ok"] == 1
    robot.call("Peer.say", "hello")
    assert crowd.ask("heard hello")["heard"] == 1
    host = robot.host("Mine")
    there = json.loads(old.wait_line(lambda line: "Mine" in line, 10, "registration of Mine"))
    assert there["registered"] == "Mine" and there["endpoints"][0].startswith("tcp://127.0.0.1:")
    host.kill()
    old.wait_line(lambda line: line != "ready" and json.loads(line) == {"gone": "Mine"}, 5, "end of Mine")
    assert old.running, old.describe()


def test_name_that_is_registered_here_first_stays(robot):
    """When it goes, that of the other directory takes its place, under another id."""
    robot.write_config(device={"name": "robot", "naoqi": {"address": robot.naoqi, "publish": []}}).up()
    own = robot.host("Peer")
    number = robot.ids_by_name()["Peer"]
    robot.start_directory()
    robot.host_there("Peer", "Later")
    robot.wait_listed("Later")
    rows = {row["name"]: row for row in robot.cli("ls", "--json").ok().json["services"]}
    assert rows["Peer"]["board"] == "robot" and rows["Peer"]["id"] == number and rows["Later"]["board"] == "naoqi"
    own.kill()
    until(lambda: robot.ids_by_name().get("Peer", number) != number, 10, "the other Peer")
    assert robot.call("Peer.echo_string", "x") == "x"
