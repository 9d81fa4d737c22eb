"""Two nodes meet by presence on a real XMPP server, and unmodified libqi calls across."""
import json

import pytest
from homes.home import binary, failures
from homes.processes import free_port, until

# One check more than a local battery has options for: objects as arguments are refused across, see --across.
CHECKS = 18
ACROSS = ["--across", "--payload", str(256 * 1024), "--calls", "200", "--deadline", "60"]


@pytest.fixture(scope="module", autouse=True)
def contacts(met):
    return met


def test_devices_find_each_other(pepper, desk, server):
    row = desk.wait_device("pepper")
    assert row["jid"].split("/")[0] == server.jid("pepper")
    assert pepper.wait_device(server.jid("desk"))["state"] == "online"


def test_services_across(desk):
    names = desk.services("pepper")
    assert "Peer" in names and not [name for name in names if "/" in name]
    assert "Peer" not in desk.services(), "a remote service in the local list"


def test_command_line_across(desk, server):
    assert desk.call("pepper/Peer.concat", "a", 7, "\u00e9") == "a7\u00e9"
    assert desk.call(server.jid("pepper") + "/Peer.echo_string", "by address") == "by address"
    desk.cli("set", "pepper/Peer.volume", "23", "--json").ok()
    assert desk.cli("get", "pepper/Peer.volume", "--json").ok().json["result"] == 23
    members = desk.cli("info", "pepper/Peer", "--json").ok().json
    assert "concat" in {row["name"] for row in members["methods"]}
    raised = desk.cli("call", "pepper/Peer.fail", '"far away trouble"', "--json")
    assert raised.code == 1 and "far away trouble" in raised.error["message"]
    assert desk.cli("call", "pepper/Nobody.x", "--json").code == 3
    assert desk.cli("call", "salt/Peer.x", "--json").code == 3


def test_python_across(desk):
    checks = desk.battery("--url", desk.url, "--service", "pepper/Peer", *ACROSS, seconds=240)
    assert failures(checks) == [] and len(checks) == CHECKS


def test_python_across_by_address(desk, server):
    checks = desk.battery("--url", desk.url, "--service", server.jid("pepper") + "/Peer", *ACROSS,
                          "--only", "types", "--only", "signals", "--only", "properties", "--only", "objects_returned")
    assert failures(checks) == [] and len(checks) == 5


@pytest.mark.parametrize("close", [["--close"], []])
def test_a_client_ends_in_order_while_it_holds_an_object_across(desk, close):
    """libqi keeps ids of services in an `int`: those of another device's have to fit."""
    assert desk.leave("--url", desk.url, "--service", "pepper/Peer", *close) == 0


def test_waiting_for_a_service_of_a_device_that_is_away(pepper, desk):
    """libqi's waitForService, begun before the service is there, and before the device is."""
    waiter = desk.peer("waiter", "--url", desk.url, "--service", "pepper/Late", name="waiter-for-service")
    waiter.wait_line(lambda line: line == "waiting")
    desk.call("pepper/Peer.echo_int32", 1)
    late = pepper.host("Late")
    waiter.wait_line(lambda line: line == "it is there", 60)
    late.stop()
    assert pepper.down() == 0
    desk.wait_device("pepper", state="offline")
    waiter = desk.peer("waiter", "--url", desk.url, "--service", "pepper/Late", name="waiter-for-device")
    waiter.wait_line(lambda line: line == "waiting")
    pepper.up(name="node-later").wait_online()
    pepper.host("Peer")
    pepper.host("Late")
    waiter.wait_line(lambda line: line == "it is there", 60)


def test_call_of_forty_seconds_across(desk):
    checks = desk.battery("--url", desk.url, "--service", "pepper/Peer", "--across", "--only", "slow_call",
                          "--slow", "40", seconds=150)
    assert failures(checks) == [] and "slow_call" in checks


def test_many_clients_share_one_subscription(desk):
    """Every client hears the signal once, and the one that stays goes on hearing it when another leaves."""
    watchers = [desk.start("watch%d" % n, [binary(), "watch", "pepper/Peer.moved", "--json"]) for n in range(3)]

    def all_heard():
        desk.call("pepper/Peer.move", 1, "all")
        return all(watcher.lines() for watcher in watchers)
    until(all_heard, 40, lambda: "events at " + "\n".join(w.describe() for w in watchers))
    watchers[0].stop()
    desk.call("pepper/Peer.move", 2, "the rest")
    for watcher in watchers[1:]:
        watcher.wait_line(lambda line: "the rest" in line)
        events = [line for line in watcher.lines() if "the rest" in line]
        assert len(events) == 1, events
        watcher.stop()


def test_removal_when_the_owner_is_killed_across(pepper, desk):
    owner = pepper.host("Mortal")
    watcher = desk.peer("client", "--url", desk.url, "--service", "pepper/Mortal", "--until-removed", name="watcher")
    watcher.wait_line(lambda line: "attached" in line)
    owner.kill()
    assert watcher.wait_end(60) == 0, watcher.lines()
    until(lambda: "Mortal" not in desk.services("pepper"), 20, "removal of Mortal")


def test_service_with_loopback_endpoint_of_another_machine_across(pepper, desk, module_folder):
    """Hosted by Python on a third machine, registered at pepper: reached through its connection to pepper's directory."""
    from homes.home import Home
    with Home(module_folder, "board") as board:
        board.host("OnBoard", url=pepper.url, listen="tcp://127.0.0.1:0")
        checks = desk.battery("--url", desk.url, "--service", "pepper/OnBoard", *ACROSS, "--only", "types",
                              "--only", "signals", "--only", "errors")
        assert failures(checks) == [] and len(checks) == 4


def test_tunnel_shows_plain_names(pepper, desk):
    url = "tcp://127.0.0.1:%d" % free_port()
    tunnel = desk.start("tunnel", [binary(), "tunnel", "pepper", "--listen", url])
    until(lambda: desk.cli("ls", "--url", url, "--json").code == 0, 30, lambda: "tunnel: " + tunnel.describe())
    checks = desk.battery("--url", url, "--service", "Peer", *ACROSS, "--only", "types", "--only", "signals",
                          "--only", "properties", "--only", "errors", "--only", "objects_returned", "--only", "payload")
    assert failures(checks) == [] and len(checks) == 7
    for close in (["--close"], []):
        assert desk.leave("--url", url, "--service", "Peer", *close) == 0
    intruder = desk.peer("service", "--leash", "--url", url, "--name", "Intruder", name="intruder")
    assert intruder.wait_end(30) != 0, "a registration through the tunnel went through"
    assert "tunnel" in intruder.log.read_text().lower(), "the refusal names no reason: " + intruder.describe()
    assert "Intruder" not in pepper.services() and "Intruder" not in desk.services()
    tunnel.stop()
    assert tunnel.process.returncode in (0, 130, -15)


def test_no_transit_and_no_control_across(pepper, desk, server):
    """Through a tunnel only local services are there: neither what pepper reaches through its own gateway, nor its node."""
    url = "tcp://127.0.0.1:%d" % free_port()
    tunnel = desk.start("tunnel", [binary(), "tunnel", "pepper", "--listen", url])
    until(lambda: desk.cli("ls", "--url", url, "--json").code == 0, 30, lambda: "tunnel: " + tunnel.describe())
    back = server.jid("desk") + "/ServiceDirectory"
    for name in (back, "desk/ServiceDirectory", "Control", "NodeControl", "MeshControl3", "NodeStatus"):
        answer = desk.cli("info", name, "--url", url, "--json")
        assert answer.code != 0, str(answer)
    listed = {row["name"] for row in desk.cli("ls", "--url", url, "--json").ok().json["services"]}
    assert "Peer" in listed and all("/" not in name and "ontrol" not in name for name in listed)
    tunnel.stop()


def test_server_sees_no_plaintext(desk, server):
    """Every stanza that passed through the server, searched for what was said in a call and in its answer."""
    argument, result = "argument-7f3a91c2-of-a-call", "result-of-5d1e80b4"
    assert desk.call("pepper/Peer.concat", argument, 1, "x") == argument + "1x"
    raised = desk.cli("call", "pepper/Peer.fail", json.dumps(result), "--json")
    assert result in raised.error["message"]
    desk.cli("set", "pepper/Peer.title", json.dumps("title-9c44e0aa"), "--json").ok()
    passed = server.passed()
    assert "http://jabber.org/protocol/ibb" in passed, "no stream passed at all: the log proves nothing"
    for secret in (argument, result, "title-9c44e0aa", "concat"):
        assert not shows(passed, secret), secret + " in a stanza"


def test_server_learns_no_names_of_services(pepper, desk, server):
    """What a device says of itself passes the server in clear, the names of its services do not; a contact counts them by its tunnel."""
    pepper.host("Unlisted5e0c")
    assert "Unlisted5e0c" in desk.services("pepper")
    row = next(row for row in desk.devices() if row["name"] == "pepper")
    assert row["services"] == len(desk.services("pepper"))
    passed = server.passed()
    assert "urn:qimesh:device:1" in passed, "no contact asked what the device is: the log proves nothing"
    assert not shows(passed, "Unlisted5e0c")


def test_devices_of_one_version_announce_the_same_hash(pepper, desk, server):
    """So that one question to any of them is enough; what differs between devices is asked for at a node of its own."""
    import re
    tags = [tag for tag in re.findall(r"<c [^>]*>", server.passed()) if "urn:qimesh:node" in tag]
    hashes = {re.search(r"ver=['\"]([^'\"]+)", tag).group(1) for tag in tags}
    assert len(tags) >= 2 and len(hashes) == 1, hashes


def shows(passed, secret):
    """Whether a stanza holds the secret, in clear or inside its base64 blocks."""
    import base64
    import re
    if secret in passed:
        return True
    blocks = re.findall(r">([A-Za-z0-9+/]{16,}={0,2})<", passed)
    return any(secret.encode() in base64.b64decode(block + "=" * (-len(block) % 4)) for block in blocks)
