"""What a bad network, a restarted server and a wrong password do to nodes. Each test has homes and a server of its own."""
import json
import os
import signal
import ssl
import time

import pytest
import yaml
from homes.boards import Switch, run
from homes.home import Home, binary, failures, meet
from homes.keys import Key
from homes.processes import free_port, until
from homes.prosody import Prosody

ACCOUNTS = {"pepper": "pepper-secret", "desk": "desk-secret", "second": "second-secret"}


@pytest.fixture
def own_server(folder):
    with Prosody(folder, ACCOUNTS) as prosody:
        yield prosody


@pytest.fixture
def pair(folder, own_server):
    """`(pepper, desk)`, up but not yet contacts."""
    with Home(folder, "pepper") as pepper, Home(folder, "desk") as desk:
        for home in (pepper, desk):
            home.write_account(own_server, home.name).up().wait_online()
        yield pepper, desk


def test_back_after_the_server_restarts(pair, own_server):
    pepper, desk = pair
    meet(desk, pepper, own_server)
    pepper.host("Peer")
    assert desk.call("pepper/Peer.echo_int32", 1) == 1
    own_server.stop()
    desk.wait_device("pepper", state="unknown")
    shown = desk.cli("devices").ok()
    assert "desk@mesh.test is offline itself" in shown.err and "qimesh status" in shown.err, str(shown)
    assert desk.cli("call", "pepper/Peer.echo_int32", "2", "--timeout", "5", "--json", timeout=60).code in (5, 6)
    own_server.start()
    desk.wait_device("pepper", seconds=60)
    until(lambda: desk.cli("call", "pepper/Peer.echo_int32", "3", "--json").code == 0, 60, "call after the restart")
    checks = desk.battery("--url", desk.url, "--service", "pepper/Peer", "--only", "types", "--only", "signals")
    assert failures(checks) == [] and len(checks) == 3


def test_call_in_flight_fails_when_the_path_goes(pair, own_server):
    """libqi clients have no time limit of their own: the node ends the call within 30 s and names device and path."""
    pepper, desk = pair
    meet(desk, pepper, own_server)
    pepper.host("Peer")
    waiting = desk.peer("client", "--url", desk.url, "--service", "pepper/Peer", "--only", "slow_call", "--slow", "300",
                        name="waiting")
    waiting.wait_line(lambda line: "connect" in line)
    until(lambda: desk.call("pepper/Peer.echo_int32", 1) == 1, 10, "call beside the slow one")
    start = time.monotonic()
    pepper.node.kill()
    row = json.loads(waiting.wait_line(lambda line: "slow_call" in line, 45))
    assert not row["ok"] and "pepper" in row["detail"], row
    assert time.monotonic() - start < 40


def test_device_that_leaves_is_seen_to_leave(pair, own_server):
    pepper, desk = pair
    meet(desk, pepper, own_server)
    start = time.monotonic()
    assert pepper.down() == 0
    desk.wait_device("pepper", state="offline", seconds=10)
    assert time.monotonic() - start < 10
    answer = desk.cli("call", "pepper/Peer.echo_int32", "1", "--json")
    assert answer.code == 5 and "pepper" in answer.error["message"], str(answer)


def test_nobody_is_let_in_unasked(pair, own_server):
    pepper, desk = pair
    pepper.host("Peer")
    desk.cli("invite", own_server.jid("pepper"), "--name", "pepper", "--json").ok()
    row = until(lambda: next((r for r in desk.devices() if r.get("name") == "pepper"), None), 10, "invited device")
    assert row["state"] != "online"
    assert desk.cli("call", "pepper/Peer.echo_int32", "1", "--timeout", "5", "--json").code in (3, 4, 5)
    until(lambda: own_server.jid("desk") in pepper.cli("devices", "--json").out, 10, "request shown at pepper")
    pepper.cli("deny", own_server.jid("desk"), "--json").ok()
    assert desk.cli("call", "pepper/Peer.echo_int32", "1", "--timeout", "5", "--json").code in (3, 4, 5)


def test_accept_in_the_configuration(folder, own_server):
    with Home(folder, "pepper") as pepper, Home(folder, "desk") as desk:
        pepper.write_account(own_server, "pepper", accept=["*@" + own_server.domain]).up().wait_online()
        desk.write_account(own_server, "desk").up().wait_online()
        pepper.host("Peer")
        desk.cli("invite", own_server.jid("pepper"), "--name", "pepper", "--json").ok()
        desk.wait_device("pepper")
        assert desk.call("pepper/Peer.echo_string", "let in") == "let in"


def account(home):
    return home.cli("status", "--json").ok().json["accounts"][0]


def test_wrong_password_is_a_state_and_the_bus_lives(folder, own_server):
    with Home(folder, "pepper") as pepper:
        pepper.write_account(own_server, "pepper", password="not-it").up()
        pepper.host("Peer")
        until(lambda: account(pepper)["state"] == "refused", 30, "refused")
        row = account(pepper)
        assert "not-authorized" in row["reason"] and row["since"] > 0
        assert pepper.call("Peer.echo_string", "still here") == "still here"
        log = pepper.node.log.read_text()
        assert log.count("an account is refused") == 1
        assert own_server.jid("pepper") in log and "not-it" not in log
        pepper.write_account(own_server, "pepper")
        until(lambda: account(pepper)["state"] == "online", 30, "online")
        assert pepper.down() == 0


def test_certificate_of_another_authority_is_refused(folder, own_server, tmp_path):
    with Prosody(tmp_path, {}) as other, Home(folder, "pepper") as pepper:
        pepper.write_account(own_server, "pepper", ca=other.ca).up()
        until(lambda: account(pepper)["state"] == "refused", 30, "refused")
        assert "certificate" in account(pepper)["reason"] and "issued by" in account(pepper)["reason"]
        pepper.host("Peer")
        assert pepper.call("Peer.echo_string", "still here") == "still here"


def test_changed_key_is_refused_until_trusted(pair, own_server):
    pepper, desk = pair
    meet(desk, pepper, own_server)
    pepper.host("Peer")
    assert desk.call("pepper/Peer.echo_int32", 1) == 1
    first = pepper.cli("identity", "--json").ok().json["fingerprint"]
    pepper.down()
    identities = list((pepper.folder / ".local/state/qimesh").glob("identity*"))
    assert identities, "no identity below the state folder"
    for path in identities:
        path.unlink()
    pepper.up(name="node-2").wait_online()
    pepper.host("Peer")
    assert pepper.cli("identity", "--json").ok().json["fingerprint"] != first
    desk.wait_device("pepper")
    refused = until(lambda: refusal(desk), 30, "refusal of the changed key")
    assert "qimesh trust" in refused.out + refused.err, str(refused)
    desk.cli("trust", own_server.jid("pepper"), "--accept", "--json").ok()
    until(lambda: desk.cli("call", "pepper/Peer.echo_int32", "2", "--json").code == 0, 30, "call after trust")


def refusal(desk):
    answer = desk.cli("call", "pepper/Peer.echo_int32", "2", "--json")
    assert answer.code != 0, "a changed key was accepted"
    return answer if answer.code == 4 else None


def status(home):
    return home.cli("status", "--json").ok().json


def wait_door(home, seconds=40):
    """Until the door is open everywhere. Returns where."""
    def opened():
        now = status(home)
        return not now["gatewayTrouble"] and now["gateway"]
    return until(opened, seconds, lambda: "open door: %s" % home.node.describe())


def wait_trouble(home, text):
    until(lambda: text in status(home)["gatewayTrouble"], 10, lambda: "%r in %s" % (text, status(home)["gatewayTrouble"]))


@pytest.fixture
def door(folder):
    """`(home, section)`: a robot that is not up, and a `gateway:` with a certificate of its own. `home.door_port` is where."""
    with Home(folder, "robot") as home:
        home.door_port = free_port()
        key = Key(folder, "shown")
        key.file.chmod(0o600)
        yield home, {"listen": ["tcps://127.0.0.1:%d" % home.door_port], "certificate": str(key.certificate), "key": str(key.file)}


def shown(home):
    return ssl.get_server_certificate(("127.0.0.1", home.door_port)).strip()


@pytest.mark.parametrize("setting", ["certificate", "key", "trust"])
def test_a_file_of_the_door_that_comes_late_is_waited_for(door, folder, setting):
    home, section = door
    source = folder / "shown.crt" if setting == "trust" else folder / section[setting].rsplit("/", 1)[1]
    late = folder / "late.pem"
    home.write_config(gateway={**section, setting: str(late)}).up()
    wait_trouble(home, "there is no file %s" % late)
    home.host("Peer")
    assert home.call("Peer.echo_string", "still here") == "still here"
    late.touch(mode=0o600)
    late.write_bytes(source.read_bytes())
    wait_door(home)
    assert shown(home) == (folder / "shown.crt").read_text().strip()
    assert home.node.log.read_text().count("the gateway is not open") in (1, 2), home.node.describe()
    assert home.down() == 0


def test_a_file_of_the_door_that_cannot_be_used_is_waited_for(door, folder):
    """Users that anybody can read; and after them a key of another certificate."""
    home, section = door
    other = Key(folder, "other")
    other.file.chmod(0o600)
    users = folder / "users"
    users.write_text("")
    users.chmod(0o666)
    home.write_config(gateway={**section, "users": str(users), "key": str(other.file)}).up()
    wait_trouble(home, str(users))
    users.unlink()
    wait_trouble(home, "the private key does not belong to the certificate")
    other.file.write_bytes((folder / "shown.key").read_bytes())
    wait_door(home)
    assert home.down() == 0


def test_what_a_waiting_door_is_given_by_sighup_is_what_it_opens_with(door, folder):
    home, section = door
    home.write_config(gateway={**section, "certificate": str(folder / "none.pem")}).up()
    wait_trouble(home, "none.pem")
    home.write_config(gateway=section)
    os.kill(home.node.pid, signal.SIGHUP)
    wait_door(home)
    assert shown(home) == (folder / "shown.crt").read_text().strip()
    assert "not taken over" not in home.node.log.read_text()


def test_a_taken_port_of_the_door_says_which_setting(door):
    home, section = door
    with Home(home.folder, "second") as second:
        home.write_config(gateway=section).up()
        wait_door(home)
        second.write_config(gateway={**section, "separate": True})
        gateway = second.start("gateway", [binary(), "gateway"])
        assert gateway.wait_end(20) != 0
        said = gateway.log.read_text()
        assert "in use by another process" in said and "gateway.listen" in said and "internal.listen" not in said, said


def test_networks_that_come_late_and_change(folder):
    """An interface without an address, one that is not there, and a door at the address of that one."""
    with Switch(folder) as switch:
        robot, other = switch.board("robot"), switch.board("other")
        run("ip", "-n", robot.namespace, "-4", "address", "flush", "dev", "eth0")
        robot.write_config(
            device={"name": "robot"},
            internal={"interfaces": ["lo", "eth0", "inner"], "listen": ["unix:%s" % robot.unix_socket, "tcp://0.0.0.0:9559"]},
            gateway={"listen": ["tcps://10.88.0.1:9503"], "separate": True})
        robot.up()
        gateway = robot.start("gateway", [binary(), "gateway"])
        gateway.wait_log("the gateway is not open, and is tried again", seconds=20)
        until(lambda: "tcp://127.0.0.1:9559" in status(robot)["directory"], 10, "loopback")
        missing = status(robot)["directoryMissing"]
        assert len(missing) == 2 and any("eth0" in what for what in missing) and "the interface inner" in missing, missing

        def wait_address(address):
            url = "tcp://%s:9559" % address
            until(lambda: url in status(robot)["directory"], 20, lambda: "%s: %s" % (url, robot.node.describe()))
            return url

        robot.add_address("10.77.0.9")
        url = wait_address("10.77.0.9")
        other.cli("ls", "-u", url, "--json").ok()
        # Another network: its address, and who is on it.
        run("ip", "-n", robot.namespace, "-4", "address", "flush", "dev", "eth0")
        robot.add_address("10.79.0.9")
        other.add_address("10.79.0.2")
        url = wait_address("10.79.0.9")
        until(lambda: other.cli("ls", "-u", url, "--json").code == 0, 10, lambda: "way in: %s" % robot.node.describe())
        assert "tcp://10.77.0.9:9559" not in status(robot)["directory"]
        robot.add_network("inner", "10.88.0.1/24")
        wait_address("10.88.0.1")
        assert status(robot)["directoryMissing"] == []
        gateway.wait_log("ready: gateway tcps://10.88.0.1:9503", seconds=60)
        log = robot.node.log.read_text()
        assert log.count("is waited for") == 2, log
        assert robot.down() == 0 and gateway.stop() == 0


def hold_calls(door, folder, count, stop, separate=False):
    """(the process that has the door, a stock client with so many calls in work at the door, whose service answers when it is told)."""
    home, section = door
    home.write_config(gateway={**section, "separate": separate}, limits={"stop": stop})
    (home.config.parent / "policy.yaml").write_text(yaml.safe_dump({"rules": [{"who": "user:nao", "allow": ["Held.*"]}]}))
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(home.cli("user", "add", "nao", "--json").ok().json["token"] + "\n")
    process = home.up().node
    if separate:
        process = home.start("gateway", [binary(), "gateway"])
        process.wait_log("ready: gateway", seconds=20)
    else:
        wait_door(home)
    peer = home.peer("stopping", "--inside", home.url, "--url", "tcps://127.0.0.1:%d" % home.door_port, "--user", "nao",
                     "--token-file", str(token))
    peer.wait_line()
    assert peer.ask("call %d 100000" % count) == {"held": count}
    return process, peer


@pytest.mark.parametrize("separate", [False, True])
def test_calls_in_work_are_answered_before_a_node_or_a_gateway_ends(door, folder, separate):
    process, peer = hold_calls(door, folder, 200, "60s", separate)
    stops_in_order(process, peer)


def stops_in_order(process, peer):
    """With 200 calls in work: others are refused in words, these are answered, and then it ends."""
    process.terminate()
    # Until the process has heard of it, one call more is in work.
    said = "is stopping (try again when it has started anew)"
    until(lambda: said in (peer.ask("try")["error"] or ""), 30, peer.describe)
    assert process.running
    assert peer.ask("let go", 60) == {"answered": 200, "errors": []}
    assert process.wait_end(20) == 0, process.describe()


@pytest.mark.parametrize("which", ["the robot's", "the caller's"])
def test_calls_of_another_device_are_answered_before_a_node_ends(pair, own_server, which):
    """The last answer is longer than what a bytestream holds on its way."""
    pepper, desk = pair
    for home in pair:
        assert home.down() == 0
        home.config.write_text(home.config.read_text() + "limits: { stop: 60s }\n")
        home.up().wait_online()
    meet(desk, pepper, own_server)
    peer = desk.peer("stopping", "--inside", pepper.url, "--url", desk.url, "--service", "pepper/Held")
    peer.wait_line()
    assert peer.ask("call 200 70000") == {"held": 200}
    stops_in_order((pepper if which == "the robot's" else desk).node, peer)


def test_a_call_that_does_not_end_holds_the_end_up_for_its_time_only(door, folder):
    process, peer = hold_calls(door, folder, 1, "1s")
    start = time.monotonic()
    process.terminate()
    assert process.wait_end(20) == 0 and 1 <= time.monotonic() - start, process.describe()
    answers = peer.ask("let go")
    assert answers["answered"] == 0 and len(answers["errors"]) == 1, answers


def take_over(home, **changes):
    """Changes the accounts in the configuration, and has the node read it as systemd does. `accounts` are all, else the first is changed."""
    document = yaml.safe_load(home.config.read_text())
    if "accounts" in changes:
        document["xmpp"] = changes["accounts"]
    else:
        document["xmpp"][0].update(changes)
    home.config.write_text(yaml.safe_dump(document))
    os.kill(home.node.pid, signal.SIGHUP)


def test_what_waits_for_a_device_is_told_of_it_after_the_account_began_anew(pair, own_server):
    """libqi's waitForService, begun before the account is changed: what waits at the old one looks for the device at the new one."""
    pepper, desk = pair
    meet(desk, pepper, own_server)
    pepper.host("Peer")
    assert desk.call("pepper/Peer.echo_int32", 1) == 1
    assert pepper.down() == 0
    desk.wait_device("pepper", state="offline")
    waiter = desk.peer("waiter", "--url", desk.url, "--service", "pepper/Peer", name="waiter")
    waiter.wait_line(lambda line: line == "waiting")
    # The first look-up of the waiter has failed, and what waits for the device waits.
    assert desk.cli("call", "pepper/Peer.echo_int32", "1", "--json").code == 5
    take_over(desk, resource="another")
    until(lambda: account(desk)["resource"] == "another" and account(desk)["state"] == "online", 30, "online with another resource")
    pepper.up(name="node-later").wait_online()
    pepper.host("Peer")
    waiter.wait_line(lambda line: line == "it is there", 60)
    # Why the tunnel ended was told in words.
    lost = desk.node.wait_log("tunnel lost")
    assert "closed by the other side" in lost and "streamClosed" not in desk.node.log.read_text(), lost


def test_an_account_that_goes_leaves_the_tunnels_of_another_alone(folder, own_server):
    """Two accounts of desk have the same contact: when the second is taken out, what runs over the first goes on."""
    with Home(folder, "pepper") as pepper, Home(folder, "desk") as desk:
        pepper.write_account(own_server, "pepper", accept=["*@" + own_server.domain]).up().wait_online()
        pepper.host("Peer")
        desk.write_account(own_server, "desk")
        first = yaml.safe_load(desk.config.read_text())["xmpp"][0]
        secret = desk.folder / "second.pw"
        secret.touch(mode=0o600)
        secret.write_text(own_server.accounts["second"] + "\n")
        second = {**first, "jid": own_server.jid("second"), "password-file": str(secret), "accept": ["*@" + own_server.domain]}
        desk.write_config(xmpp=[first, second]).up().wait_online()
        desk.cli("invite", own_server.jid("pepper"), "--name", "pepper", "--json").ok()
        desk.wait_device("pepper")
        pepper.cli("invite", own_server.jid("second"), "--name", "second", "--json").ok()

        def met():
            rows = [row for row in desk.devices() if row.get("jid") == own_server.jid("pepper")]
            return len(rows) == 2 and all(row["state"] == "online" for row in rows)
        until(met, 30, lambda: "pepper at both accounts: %s" % desk.devices())
        assert desk.call("pepper/Peer.echo_int32", 1) == 1
        take_over(desk, accounts=[first])
        until(lambda: len(desk.cli("status", "--json").ok().json["accounts"]) == 1, 20, "one account")
        assert desk.call("pepper/Peer.echo_int32", 2) == 2
        assert "tunnel lost" not in desk.node.log.read_text(), desk.node.describe()


def test_wait_online_waits_for_this_node_too(pair, own_server):
    pepper, desk = pair
    meet(desk, pepper, own_server)
    pepper.host("Peer")
    assert desk.down() == 0
    own_server.stop()
    desk.up(name="node-later")
    desk.wait_device("pepper", state="unknown")
    late = desk.cli("call", "pepper/Peer.echo_int32", "1", "--wait-online", "2s", "--json")
    assert late.code == 6 and "pepper" in late.error["message"], str(late)
    assert own_server.jid("desk") + " is offline itself" in late.error["message"], str(late)
    waiting = desk.start("waiting", [binary(), "call", "pepper/Peer.echo_int32", "7", "--wait-online", "90s", "--json"])
    own_server.start()
    assert json.loads(waiting.wait_line(lambda line: line.startswith("{"), 100))["result"] == 7


def test_a_certificate_that_has_expired_is_told_of_once(folder, own_server):
    """The reason names the time of the attempt, which is another each time: that is no news."""
    tls = own_server.folder / "tls"
    own_server.stop()
    run("openssl", "x509", "-req", "-in", tls / "server.csr", "-CA", tls / "ca.pem", "-CAkey", tls / "ca.key", "-CAcreateserial",
        "-days", "-1", "-extfile", tls / "server.ext", "-out", tls / "server.crt")
    own_server.start()
    with Home(folder, "pepper") as pepper:
        pepper.write_account(own_server, "pepper").up()
        until(lambda: account(pepper)["state"] == "refused", 30, "refused")
        first = account(pepper)["reason"]
        assert "it was valid until" in first and "here" in first, first
        for _ in range(2):
            before = account(pepper)["reason"]

            def tried_again():
                os.utime(own_server.ca)  # the file is new for the node, which tries again
                return account(pepper)["reason"] != before
            until(tried_again, 30, "another attempt")
        assert pepper.node.log.read_text().count("an account is refused") == 1, pepper.node.describe()


def test_closed_standard_descriptors_are_nobody_elses(folder):
    """What the node opens next would get their numbers, and lines of the log would be written into it."""
    with Home(folder, "pepper") as pepper:
        pepper.write_config()
        pepper.node = pepper.start("node", ["sh", "-c", 'exec "$0" up <&- >&- 2>&-', binary()])
        until(lambda: pepper.cli("status", "--json").code == 0, 20, "node")
        for number in range(3):
            assert os.readlink("/proc/%d/fd/%d" % (pepper.node.pid, number)) == "/dev/null"
        assert pepper.down() == 0
