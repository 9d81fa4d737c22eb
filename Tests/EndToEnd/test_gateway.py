"""The public door of a robot: clients on stock libqi in another network namespace, which reaches nothing inside."""
import json

import pytest
import yaml
from homes.boards import Switch, run
from homes.home import PEERS, PYTHON, binary, failures
from homes.keys import Key
from homes.processes import until

CHECKS = 18  # of client.py, the connection included
INNER = "10.88.0.1"
PORT = 9503


class Crowd:
    """crowd.py, and its answers."""

    def __init__(self, home, robot, count, service="Peer"):
        self.count = count
        self.child = home.start("crowd-%d" % count, [
            PYTHON, PEERS / "crowd.py", "--url", robot.door, "--count", str(count), "--service", service, *home.login])
        self.child.wait_line(lambda line: json.loads(line) == {"ready": count}, 90, "crowd of %d" % count)

    def ask(self, question, seconds=40):
        return self.child.ask(question, seconds)

    def all_answer(self):
        """Asks until calls pass; until then all must fail at once, saying what to do and nothing of the inside."""
        def passed():
            answer = self.ask("call x")
            for error in answer["errors"]:
                assert "try again" in error and INNER not in error and "127.0.0.1" not in error and "unix:" not in error, answer
            return answer["ok"] == self.count
        until(passed, 90, lambda: "answers to all: " + self.child.describe())

    def stop(self):
        return self.child.stop()


def connections(home, robot):
    return [peer for _, peer in home.connections() if peer == "%s:%d" % (robot.address, PORT)]


@pytest.fixture(scope="module")
def world(module_folder):
    """(robot, client): `Peer` may be used by the user nao, `Secret` by nobody outside. The door is a process of its own."""
    with Switch(module_folder) as switch:
        robot = switch.board("robot")
        client = switch.board("client")
        robot.add_network("inner", INNER + "/24")
        robot.door = "tcps://%s:%d" % (robot.address, PORT)
        robot.write_config(
            device={"name": "robot"},
            internal={"interfaces": ["lo", "inner"], "listen": ["unix:%s" % robot.unix_socket, "tcp://0.0.0.0:9559"]},
            gateway={"listen": ["tcps://0.0.0.0:%d" % PORT], "separate": True, "return-time": "5m"})
        (robot.config.parent / "policy.yaml").write_text(yaml.safe_dump(
            {"rules": [{"who": "user:nao", "allow": ["Peer.*"]}]}))
        added = robot.cli("user", "add", "nao", "--json").ok().json
        (client.folder / "token").write_text(added["token"] + "\n")
        client.door_key = added["fingerprint"]
        (client.folder / "token").chmod(0o600)
        client.login = ["--user", "nao", "--token-file", str(client.folder / "token")]
        robot.up()
        robot.gateway = robot.start("gateway", [binary(), "gateway"])
        robot.gateway.wait_log("ready: gateway", seconds=20)
        robot.host("Peer")
        robot.host("Secret", listen="tcp://%s:0" % INNER)
        yield robot, client


def test_the_inside_is_out_of_reach(world):
    """Not only is there no way: who makes one by the robot's outer address is not let in."""
    robot, client = world
    assert client.cli("ls", "--url", "tcp://%s:9559" % robot.address, "--json", "--timeout", "3s").code == 5
    client.route("10.88.0.0/24", robot)
    refused = client.cli("ls", "--url", "tcp://%s:9559" % INNER, "--json", "--timeout", "3s")
    assert refused.code != 0, str(refused)
    assert "Peer" in robot.cli("ls", "--url", "tcp://%s:9559" % INNER, "--json").ok().out


def test_stock_clients_through_the_door(world):
    robot, client = world
    checks = client.battery("--url", robot.door, *client.login, seconds=180)
    assert failures(checks) == [] and len(checks) == CHECKS


@pytest.mark.parametrize("close", [["--close"], []])
def test_a_client_ends_in_order_while_it_holds_an_object(world, close):
    """libqi keeps ids of services in an `int`: those at the door have to fit."""
    robot, client = world
    assert client.leave("--url", robot.door, *client.login, *close) == 0


def test_a_service_that_is_unregistered_is_gone_for_its_users_at_once(world):
    robot, client = world
    policy = robot.config.parent / "policy.yaml"
    text = policy.read_text()
    try:
        policy.write_text(yaml.safe_dump({"rules": [{"who": "user:nao", "allow": ["Peer.*", "Brief.*"]}]}))
        robot.gateway.process.send_signal(1)  # SIGHUP
        robot.gateway.wait_log("policy reloaded", seconds=5)
        owner = robot.host("Brief", orderly=True)
        watcher = client.peer("client", "--url", robot.door, "--service", "Brief", *client.login, "--until-removed", name="watcher")
        watcher.wait_line(lambda line: "attached" in line)
        # return-time is five minutes here.
        owner.process.stdin.close()
        assert watcher.wait_end(20) == 0, watcher.lines()
    finally:
        policy.write_text(text)
        robot.gateway.process.send_signal(1)


def test_a_door_whose_port_is_taken_says_so(world):
    """Again and again: what the door had begun meanwhile ends without it."""
    robot, _ = world
    for number in range(15):
        second = robot.start("second-door-%d" % number, [binary(), "gateway"])
        code = second.wait_end(20)
        assert code > 0 and code < 100, second.describe()
        assert "in use" in second.log.read_text() and str(PORT) in second.log.read_text(), second.describe()


@pytest.mark.parametrize("directory_first", [True, False])
def test_a_door_ends_in_order_while_look_ups_wait(world, directory_first):
    """Look-ups of a service whose host has stopped, and the end of the directory before that of the door."""
    robot, client = world
    host = robot.host("Peer2")
    policy = robot.config.parent / "policy.yaml"
    text = policy.read_text()
    try:
        policy.write_text(yaml.safe_dump({"rules": [{"who": "user:nao", "allow": ["Peer*.*"]}]}))
        for number in range(5):
            door = robot.start("door-%s-%d" % (directory_first, number), [
                binary(), "gateway", "--config", str(own_door(robot, PORT + 1))])
            door.wait_log("ready: gateway", seconds=20)
            host.process.send_signal(19)  # SIGSTOP
            asking = client.peer("client", "--url", robot.door.replace(str(PORT), str(PORT + 1)), "--service", "Peer2", *client.login,
                                 name="asking-%s-%d" % (directory_first, number))
            until(lambda: client.connections(), 20, asking.describe)
            if directory_first:
                robot.node.process.send_signal(19)
            door.terminate()
            assert door.wait_end(20) == 0, door.describe()
            assert asking.wait_end(30) != 0
            for child in (host, robot.node):
                child.process.send_signal(18)  # SIGCONT
    finally:
        policy.write_text(text)
        host.stop()


def own_door(robot, port):
    """A configuration of the same robot with its door at another port."""
    content = yaml.safe_load(robot.config.read_text())
    content["gateway"]["listen"] = ["tcps://0.0.0.0:%d" % port]
    content["policy"] = str(robot.config.parent / "policy.yaml")
    path = robot.config.parent / "other.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_one_connection_and_the_doors_address_alone(world):
    robot, client = world
    crowd = Crowd(client, robot, 1)
    crowd.all_answer()
    state = crowd.ask("state")
    assert state["endpoints"] == ["qi:ServiceDirectory", robot.door]
    assert state["services"] == ["Peer", "ServiceDirectory"]
    assert len(connections(client, robot)) == 1
    assert len(client.connections()) == 1, client.connections()
    crowd.stop()


def test_what_is_hidden_is_not_there(world):
    robot, client = world
    checks = client.battery("--url", robot.door, "--service", "Secret", *client.login)
    assert not checks["connect"]["ok"] and "Cannot find service" in checks["connect"]["detail"], checks
    for private in ("MeshControl3", "robot/Peer"):
        checks = client.battery("--url", robot.door, "--service", private, *client.login)
        assert not checks["connect"]["ok"] and "Cannot find service" in checks["connect"]["detail"], checks


def test_without_the_token_nobody_is_let_in(world):
    robot, client = world
    (client.folder / "wrong").write_text("not the token\n")
    for login in ([], ["--user", "nao", "--token-file", str(client.folder / "wrong")]):
        checks = client.battery("--url", robot.door, *login)
        assert not checks["connect"]["ok"], checks
    rows = robot.cli("audit", "--event", "refused", "--json").ok().json["records"]
    assert [row for row in rows if row["principal"] == "user:nao"], rows
    # The door is a process of its own, and so are its files.
    assert (robot.folder / ".local/state/qimesh/audit-gateway-strangers.jsonl").is_file()


def test_the_command_logs_in(world):
    robot, client = world
    at_door = ["--url", robot.door, *client.login]
    client.cli("ls", *at_door, "--fingerprint", client.door_key).ok()
    assert [row["name"] for row in client.cli("ls", *at_door, "--json").ok().json["services"]] == ["ServiceDirectory", "Peer"]
    called = client.cli("call", "Peer.echo_string", "hello", *at_door)
    assert called.ok().out == "hello\n" and called.err == "", str(called)
    # By URL as the device, and with what is in the user's own file.
    own = client.config.parent / "auth"
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text("nao\n" + (client.folder / "token").read_text())
    own.chmod(0o600)
    assert "Peer" in client.cli("ls", robot.door, "--user", "nao").ok().out
    # Whoever shows another certificate does not get to know the token.
    shown, other = client.folder / "shown.pem", Key(client.folder, "other").certificate
    shown.write_text(run(*client.prefix, "sh", "-c", "openssl s_client -connect %s </dev/null 2>/dev/null | openssl x509" % robot.door[7:]))
    checked = client.cli("ls", *at_door, "--certificate", str(shown))
    assert checked.ok().err == "", str(checked)
    assert client.cli("ls", *at_door, "--certificate", str(other)).code == 4


def test_a_login_that_fails_says_what_to_do(world):
    robot, client = world
    refused = client.cli("ls", "--url", robot.door)
    assert refused.code == 4 and "wants a user and a token" in refused.err and "--user NAME" in refused.err, str(refused)
    wrong = client.folder / "guess"
    wrong.write_text("not the token\n")
    wrong.chmod(0o600)
    refused = client.cli("ls", "--url", robot.door, "--user", "nao", "--token-file", str(wrong), "--fingerprint", client.door_key)
    assert refused.code == 4 and "wrong token" in refused.err and "not the token" not in refused.err, str(refused)
    wrong.chmod(0o644)
    assert client.cli("ls", "--url", robot.door, "--user", "nao", "--token-file", str(wrong)).code == 7
    assert client.cli("ls", "--user", "nao", "--token-file", str(wrong)).code == 2
    plain = client.cli("ls", "--url", "tcp://%s:9559" % robot.address, *client.login)
    assert plain.code == 2 and "not encrypted" in plain.err, str(plain)


def test_another_address_is_told_without_a_restart(world):
    robot, client = world
    crowd = Crowd(client, robot, 1)
    text = robot.config.read_text()
    content = yaml.safe_load(text)
    try:
        content["gateway"]["advertise"] = ["tcps://robot.example:9503"]
        content["limits"] = {"calls-per-peer": 63}
        robot.config.write_text(yaml.safe_dump(content))
        robot.gateway.process.send_signal(1)  # SIGHUP
        until(lambda: crowd.ask("state")["endpoints"] == ["qi:ServiceDirectory", "tcps://robot.example:9503"], 10, "the other address")
        assert "settings=limits" in robot.gateway.wait_log("takes effect when the node is started again", seconds=5)
        robot.config.write_text("gateway: nonsense")
        robot.gateway.process.send_signal(1)
        robot.gateway.wait_log("configuration not reloaded", seconds=5)
        assert crowd.ask("state")["endpoints"] == ["qi:ServiceDirectory", "tcps://robot.example:9503"]
    finally:
        robot.config.write_text(text)
        robot.gateway.process.send_signal(1)
    until(lambda: crowd.ask("state")["endpoints"] == ["qi:ServiceDirectory", robot.door], 10, "the door's own address")
    assert crowd.ask("state")["lost"] == 0
    crowd.stop()


def test_a_removed_user_is_out_at_once(world):
    robot, client = world
    token = robot.cli("user", "add", "guest").ok().out.strip()
    (client.folder / "guest").write_text(token + "\n")
    login, client.login = client.login, ["--user", "guest", "--token-file", str(client.folder / "guest")]
    policy = robot.config.parent / "policy.yaml"
    try:
        policy.write_text(yaml.safe_dump({"rules": [{"who": ["user:nao", "user:guest"], "allow": ["Peer.*"]}]}))
        robot.gateway.process.send_signal(1)  # SIGHUP
        robot.gateway.wait_log("policy reloaded", seconds=5)
        crowd = Crowd(client, robot, 2)
        robot.cli("user", "remove", "guest").ok()
        until(lambda: not connections(client, robot), 2, "end of the guest's connections")
        assert crowd.ask("state_of_sessions")["connected"] == 0
        crowd.stop()
    finally:
        client.login = login


def test_fifty_clients_outlive_the_inside(world):
    """Directory and service are killed, alone and together: nobody connects again, and everybody hears on, nothing twice."""
    robot, client = world
    peer = next(child for child in robot._children if child.name == "service-Peer" and child.running)
    crowd = Crowd(client, robot, 50)
    before = sorted(client.connections())
    assert len(before) == 50

    def all_hear(text):
        crowd.all_answer()
        robot.call("Peer.say", text)
        assert crowd.ask("heard " + text) == {"heard": 50, "twice": 0}

    all_hear("before")
    peer.kill()
    peer = robot.host("Peer")
    all_hear("another-service")
    robot.node.kill()
    # libqi's host ends its session with the directory; whoever runs it starts it again.
    peer.kill()
    robot.up(name="node-again")
    peer = robot.host("Peer")
    all_hear("another-directory")
    for number in range(2):
        peer.kill()
        robot.node.kill()
        robot.up(name="node-%d" % number)
        peer = robot.host("Peer")
    all_hear("both")
    state = crowd.ask("state")
    assert (state["connected"], state["lost"]) == (50, 0)
    assert sorted(client.connections()) == before
    crowd.stop()
