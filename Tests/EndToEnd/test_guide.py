"""The guide "Pepper and NAO in ten minutes", as a person follows it: on two computers, with a directory of libqi's for NAOqi."""
import re

import pytest
import yaml
from homes.boards import Switch
from homes.home import PYTHON, binary
from homes.processes import ROOT, until
from homes.prosody import Prosody

GUIDE = ROOT / "Sources/QiMesh/Documentation.docc/PepperAndNao.md"
SPEECH = ROOT / "Examples/two-homes/speech.py"
ACCOUNTS = {"pepper": "pepper-secret", "desk": "desk-secret"}


def blocks():
    """(language, where, text) of every block of the guide that says where it belongs, in order."""
    return re.findall(r"^```(\w+) (\w+)\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)


class Reader:
    """Does on one computer what the guide says there."""

    def __init__(self, board, server, folder):
        self.board, self.server, self.said = board, server, []
        commands = folder / "bin"
        commands.mkdir(exist_ok=True)
        if not (commands / "qimesh").exists():
            (commands / "qimesh").symlink_to(binary())
        board.env["PATH"] = "%s:%s" % (commands, board.env["PATH"])

    def write(self, text, address=None):
        """The configuration of the guide. A private server is not found by DNS: its address goes beside the account."""
        content = yaml.safe_load(text.replace("your.server", self.server.domain).replace("pepper.local", address or "pepper.local"))
        for account in content.get("xmpp", []):
            account.update({"server": self.server.address, "ca-file": str(self.server.ca)})
        self.board.config.parent.mkdir(parents=True, exist_ok=True)
        self.board.config.write_text(yaml.safe_dump(content))

    def type(self, line, stdin=None):
        """One line at the shell's prompt; one that ends in & goes on."""
        if line == "qimesh up &":
            self.board.node = self.board.start("node", ["qimesh", "up"])
            self.board.node.wait_log("ready: directory", seconds=20)
            if "xmpp" in self.board.config.read_text():
                self.board.wait_online()
            return ""
        if line.endswith(" &"):
            child = self.board.start("tunnel", ["sh", "-c", "exec " + line[:-2]])
            child.wait_line(lambda text: "tcp://" in text, 30, "address of the tunnel")
            return ""
        done = self.board.shell(line, stdin)
        assert done.returncode == 0, "$ %s\n%s%s" % (line, done.stdout, done.stderr)
        self.said.append(done.stdout)
        return done.stdout

    def run(self, program):
        child = self.board.start("program", [PYTHON, "-c", program])
        assert child.wait_end(30) == 0, child.describe()


@pytest.fixture
def places(folder):
    with Switch(folder) as switch:
        host = switch.board("server")
        with Prosody(folder, ACCOUNTS, board=host) as server:
            boards = {name: switch.board(name) for name in ("robot", "desk", "companion")}
            naoqi = boards["robot"].peer("directory", "--leash", "--listen", "tcp://0.0.0.0:9559", name="naoqi")
            naoqi.wait_line()
            speech = boards["robot"].start("speech", [PYTHON, SPEECH, "tcp://127.0.0.1:9559"])
            speech.wait_log("registered", seconds=20)
            yield {name: Reader(board, server, folder) for name, board in boards.items()}


def test_the_guide_to_the_letter(places):
    token, robot = None, places["robot"]
    for language, where, text in blocks():
        if where == "login":
            # What asks for a login is another test's: here it has to be a configuration.
            assert yaml.safe_load(text)["device"]["naoqi"]["user"] == "nao"
            continue
        reader = places[where]
        if language == "yaml":
            reader.write(text, address=robot.board.address)
        elif language == "python":
            reader.run(text)
        for line in text.splitlines() if language == "sh" else []:
            output = reader.type(line, stdin=token + "\n" if line == "qimesh pair" else None)
            if line == "qimesh enroll":
                token = output.strip()
    told = "".join(robot.said)
    assert re.search(r"^naoqi +tcp://127.0.0.1:9559 +\(1 service here", told, re.MULTILINE), told
    assert re.search(r"ALTextToSpeech +\d+ +naoqi", told), told
    assert "".join(places["desk"].said).count("pepper says: Hello") == 2
    # The robot's own modules find what is registered at its node.
    robot.board.host("Vision", url="tcp://127.0.0.1:9560")
    until(lambda: "Vision" in robot.board.services_at("tcp://127.0.0.1:9559"), 10, "Vision in NAOqi's list")


def test_companion_beside_the_robot(places):
    robot, companion = places["robot"], places["companion"]
    texts = [text for language, where, text in blocks() if where == "companion"]
    companion.write(texts[0], address=robot.board.address)
    companion.type("qimesh up &")
    # As NAOqi's own modules, it listens to the network.
    robot.board.host("ALMotion", url="tcp://127.0.0.1:9559", listen="tcp://%s:0" % robot.board.address)
    until(lambda: "ALMotion" in companion.board.services(), 20, companion.board.node.describe)
    assert companion.type("qimesh call ALMotion.echo_string Hi") == "Hi\n"
    loopback = companion.board.cli("call", "ALTextToSpeech.say", "Hi")
    assert loopback.code == 5 and "another machine's loopback" in loopback.err, str(loopback)
    companion.board.host("Vision", url="tcp://127.0.0.1:9559")
    until(lambda: "Vision" in robot.board.services_at("tcp://127.0.0.1:9559"), 10, "Vision in NAOqi's list")
    checks = robot.board.battery("--url", "tcp://127.0.0.1:9559", "--service", "Vision", seconds=180)
    assert [row for row in checks.values() if not row["ok"]] == []
