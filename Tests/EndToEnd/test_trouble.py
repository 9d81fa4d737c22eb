"""What a bad network, a restarted server and a wrong password do to nodes. Each test has homes and a server of its own."""
import json
import time

import pytest
from homes.home import Home, failures, meet
from homes.processes import until
from homes.prosody import Prosody

ACCOUNTS = {"pepper": "pepper-secret", "desk": "desk-secret"}


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
    checks = desk.battery("--url", desk.url, "--service", "pepper/Peer", "--across", "--only", "types", "--only", "signals")
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
