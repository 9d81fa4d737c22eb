"""Remote applications at the public door: what their manifest lists, once the owner has agreed, and nothing else."""
import json

import pytest
import yaml
from homes.home import PEERS, PYTHON, Home, binary
from homes.processes import free_port, until

MANIFEST = {
    "name": "tablet", "description": "Speaks from a tablet",
    "permissions": [{"allow": ["Peer.echo_string", "Peer.spoken"], "limit": {"calls": "100/s"}}],
}


@pytest.fixture(params=["of the node", "of its own process"])
def robot(request, folder):
    """A robot with a door on this machine and the service `Peer`, of which nothing is allowed to anybody yet."""
    with Home(folder, "robot") as home:
        separate = request.param != "of the node"
        port = free_port()
        home.door = "tcps://127.0.0.1:%d" % port
        home.write_config(gateway={"listen": [home.door], "separate": separate})
        (home.config.parent / "policy.yaml").write_text("rules: []\n")
        home.manifest = home.folder / "tablet.yaml"
        home.manifest.write_text(yaml.safe_dump(MANIFEST))
        home.up()
        if separate:
            home.start("gateway", [binary(), "gateway"]).wait_log("ready: gateway", seconds=20)
        else:
            home.node.wait_log("gateway ready", seconds=20)
        home.host("Peer")
        yield home


class Client:
    """The application, on stock libqi."""

    def __init__(self, robot, session, name="tablet"):
        file = robot.folder / ("session-" + name)
        file.write_text(session + "\n")
        self.child = robot.start("client", [
            PYTHON, PEERS / "crowd.py", "--url", robot.door, "--count", "1", "--user", name, "--token-file", str(file)])

    def ready(self):
        self.child.wait_line(lambda line: json.loads(line) == {"ready": 1}, 60, "application's session")
        self.answers = 1
        return self

    def ask(self, question):
        self.child.process.stdin.write((question + "\n").encode())
        self.child.process.stdin.flush()
        self.answers += 1
        return json.loads(until(lambda: self.child.lines()[self.answers - 1:], 40, lambda: "answer: " + self.child.describe())[0])

    def refused(self):
        assert self.child.wait_end(60) != 0, self.child.describe()
        return self.child.log.read_text()


def audit(robot):
    return robot.cli("audit", "--json").ok().json["records"]


def test_an_application_from_its_manifest_to_its_end(robot):
    installed = robot.cli("app", "install", robot.manifest, "--json").ok().json
    session = installed["session"]
    assert installed["name"] == "tablet" and not installed["approved"] and len(session) == 22
    state = robot.folder / ".local/state/qimesh/apps.json"
    assert session not in state.read_text() and state.stat().st_mode & 0o777 == 0o600
    # Not before its owner agrees.
    Client(robot, session).refused()
    robot.cli("app", "approve", "tablet", "--json").ok()
    assert [(row["name"], row["approved"]) for row in robot.cli("app", "list", "--json").ok().json["apps"]] == [("tablet", True)]
    assert "allow Peer.echo_string, Peer.spoken" in robot.cli("app", "list").ok().out
    client = Client(robot, session).ready()
    assert client.ask("call hello")["ok"] == 1
    assert client.ask("state")["services"] == ["Peer", "ServiceDirectory"]
    # The manifest and nothing else.
    assert robot.cli("policy", "check", "app:tablet", "Peer.echo_string", "call").code == 0
    for target in ("Peer.concat", "Other.echo_string"):
        assert robot.cli("policy", "check", "app:tablet", target, "call").code == 4
    assert robot.cli("policy", "check", "app:other", "Peer.echo_string", "call").code == 4
    # Its end is felt at once, and its session id is worth nothing.
    robot.cli("app", "revoke", "tablet", "--json").ok()
    until(lambda: client.ask("state_of_sessions")["connected"] == 0, 3, "end of the application's connection")
    Client(robot, session).refused()
    events = {row["event"] for row in audit(robot)}
    assert {"app-install", "app-approve", "app-revoke"} <= events
    assert [row for row in audit(robot) if row["event"] == "refused" and "tablet" in row["principal"]], audit(robot)


def test_a_wrong_session_id_is_refused(robot):
    robot.cli("app", "install", robot.manifest, "--approve", "--json").ok()
    Client(robot, "A" * 22).refused()


def test_installing_anew_ends_the_earlier_session(robot):
    first = robot.cli("app", "install", robot.manifest, "--approve", "--json").ok().json["session"]
    second = robot.cli("app", "install", robot.manifest, "--approve", "--json").ok().json["session"]
    Client(robot, first).refused()
    assert Client(robot, second).ready().ask("call hello")["ok"] == 1


def test_mistakes_in_a_manifest(robot):
    bad = robot.folder / "bad.yaml"
    bad.write_text("name: tablet\npermissions:\n  - alow: [\"*\"]\n")
    answer = robot.cli("app", "install", bad, "--json")
    assert answer.code == 7 and "bad.yaml:3" in answer.error["message"] and "did you mean allow?" in answer.error["message"], str(answer)
    assert robot.cli("app", "install", robot.folder / "nowhere.yaml").code == 3
    assert robot.cli("app", "approve", "nobody").code == 3
    assert robot.cli("app", "revoke", "nobody").code == 3
    assert robot.cli("app", "list", "--json").ok().json["apps"] == []


def test_a_manifest_that_multiplies_itself_holds_nothing_up(robot):
    lines = ["l%d: &l%d [%s]" % (line, line, ", ".join(["*l%d" % (line - 1) if line > 1 else "x"] * 9)) for line in range(1, 31)]
    laughs = robot.folder / "laughs.yaml"
    laughs.write_text("\n".join([*lines, "? *l30", ": 1", ""]))
    refused = robot.cli("app", "install", laughs, "--json", timeout=20)
    assert refused.code == 7 and "laughs.yaml:1: anchors (&l1)" in refused.error["message"], str(refused)
    assert robot.cli("app", "list", "--json", timeout=20).ok().json["apps"] == []
