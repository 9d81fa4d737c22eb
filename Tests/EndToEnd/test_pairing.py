"""Pairing by token, revoking and changing keys, as two owners do it with the command line: on Prosody and on ejabberd."""
import base64
import hashlib
import itertools
import time

import pytest
import qrcode
from homes.ejabberd import Ejabberd
from homes.home import Home, binary
from homes.processes import until
from homes.prosody import Federation, Prosody
from homes.terminal import at_terminal

NUMBERS = itertools.count(1)


@pytest.fixture(scope="module", params=["prosody", "ejabberd"])
def server(request, module_folder):
    made = Prosody(module_folder, {}, stanzas=True) if request.param == "prosody" else Ejabberd(module_folder, {})
    with made as running:
        yield running


@pytest.fixture
def fresh(folder, server):
    """Makes homes with accounts that nobody has used yet."""
    homes = []

    def make(name):
        user = "%s%d" % (name, next(NUMBERS))
        server.register(user, user + "-secret")
        home = Home(folder, name).write_account(server, user)
        home.jid = server.jid(user)
        homes.append(home)
        return home.up()
    yield make
    for home in homes:
        home.close()


@pytest.fixture
def pair(fresh):
    """`(pepper, desk)`, online and strangers to each other."""
    pepper, desk = fresh("pepper"), fresh("desk")
    pepper.wait_online()
    desk.wait_online()
    return pepper, desk


def sealed(token):
    """The token with the six characters that are right for the rest of it."""
    parts = token.split("/")
    parts[2] = parts[2].split(".")[0]
    check = base64.urlsafe_b64encode(hashlib.sha256("/".join(parts).encode()).digest()[:4]).decode().rstrip("=")
    parts[2] += "." + check
    return "/".join(parts)


def enroll(home, *options):
    return home.cli("enroll", "--json", *options).ok().json


def tokens(home):
    return home.cli("enroll", "--list", "--json").ok().json


def fingerprint(home):
    return home.cli("identity", "--json").ok().json["fingerprint"]


def pinned(home):
    return {row["jid"]: row["pinned"] for row in home.cli("trust", "--json").ok().json["trusted"]}


def test_two_fresh_devices_pair_with_nothing_but_the_token(pair, server):
    pepper, desk = pair
    made = enroll(pepper, "--name", "bureau")
    assert made["fingerprint"] == fingerprint(pepper)
    paired = desk.cli("pair", "--json", stdin=made["token"] + "\n").ok().json
    assert (paired["jid"], paired["name"], paired["fingerprint"]) == (pepper.jid, "pepper", fingerprint(pepper))
    # Both keys are pinned at once, before any call.
    assert pinned(desk) == {pepper.jid: fingerprint(pepper)}
    assert pinned(pepper) == {desk.jid: fingerprint(desk)}
    desk.wait_device("pepper")
    pepper.wait_device("bureau")
    pepper.host("Peer")
    desk.host("Peer")
    assert desk.call("pepper/Peer.concat", "a", 7, "b") == "a7b"
    assert pepper.call("bureau/Peer.concat", "c", 8, "d") == "c8d"
    assert [(row["state"], row["usedBy"]) for row in tokens(pepper)["enrollments"]] == [("used", desk.jid)]
    secret = made["token"].split("/")[1]
    for place in (pepper.node.log, desk.node.log, pepper.folder / ".local/state/qimesh/enrollments.json"):
        assert secret not in place.read_text()
    if isinstance(server, Prosody):
        assert secret not in server.passed() and "urn:qimesh:pair:1" in server.passed()


def test_a_stolen_token_used_second_fails_and_both_are_told(pair, fresh):
    pepper, desk = pair
    eve = fresh("eve")
    eve.wait_online()
    token = enroll(pepper)["token"]
    desk.cli("pair", token, "--json").ok()
    refused = eve.cli("pair", token, "--json")
    assert refused.code == 4 and refused.error["code"] == "denied", str(refused)
    assert "used already" in refused.error["message"] and "enroll --list" in refused.error["hint"]
    told = tokens(pepper)["enrollments"][0]["refused"]
    assert [(row["jid"], row["reason"], row["knewToken"], row["fingerprint"]) for row in told] == [
        (eve.jid, "used-token", True, fingerprint(eve))]
    assert "tried to pair with a token that was used already" in pepper.cli("status").ok().out
    assert eve.jid in pepper.cli("enroll", "--list").ok().out
    pepper.node.wait_log("pairing refused")
    assert eve.jid not in pinned(pepper) and pinned(eve) == {}
    # No half-made contact stays on the thief's side either.
    until(lambda: eve.devices() == [], 20, lambda: "empty contact list at eve: %s" % eve.devices())
    # What it asked for may still be asked; it is no contact.
    assert [row["jid"] for row in pepper.devices() if row["state"] != "asks"] == [desk.jid]


def test_expired_cancelled_and_damaged_tokens(pair):
    pepper, desk = pair
    made = enroll(pepper, "--valid", "1s")
    until(lambda: tokens(pepper)["enrollments"][0]["state"] == "expired", 20, "expired token")
    expired = desk.cli("pair", made["token"], "--json")
    assert expired.code == 4 and "expired" in expired.error["message"]
    made = enroll(pepper)
    assert pepper.cli("enroll", "--cancel", made["id"], "--json").ok().json["cancelled"] == 1
    cancelled = desk.cli("pair", made["token"], "--json")
    assert cancelled.code == 4 and "taken this token back" in cancelled.error["message"]
    good = enroll(pepper)["token"]
    parts = good.split("/")
    other = parts[1][:-2] + ("AA" if parts[1][-2:] != "AA" else "AQ")
    assert sealed(good) == good
    unknown = desk.cli("pair", sealed("/".join([parts[0], other, *parts[2:]])), "--json")
    assert unknown.code == 4 and "does not know this token" in unknown.error["message"]
    for damaged in ("", "nonsense", good.replace(parts[1], parts[1][:-1]), good[:-1], good + "x", good.replace(parts[1], other), "xmpp:pepper@mesh.test?roster;preauth=abc"):
        answer = desk.cli("pair", "--json", stdin=damaged + "\n")
        assert answer.code == 2 and answer.error["code"] == "usage", str(answer)
        assert parts[1] not in answer.out + answer.err
    assert pinned(pepper) == {} and pinned(desk) == {}


def test_a_device_that_is_offline_is_waited_for(pair):
    """ejabberd drops the token from the stored request; the request that proves it is sent again."""
    pepper, desk = pair
    token = enroll(pepper)["token"]
    pepper.down()
    waiting = desk.start("pair", [binary(), "pair", token, "--wait-online", "2m"])
    waiting.wait_log("waiting for " + pepper.jid)
    pepper.up(name="node-again").wait_online()
    assert waiting.wait_end(60) == 0, waiting.describe()
    assert waiting.lines()[0].startswith("paired pepper")
    desk.wait_device("pepper")
    assert pinned(pepper) == {desk.jid: fingerprint(desk)}


def test_nobody_answers_until_the_deadline(pair):
    pepper, desk = pair
    token = enroll(pepper)["token"]
    pepper.down()
    answer = desk.cli("pair", token, "--wait-online", "1s", "--json")
    assert answer.code == 5 and answer.error["code"] == "offline" and answer.error["retryable"], str(answer)
    until(lambda: desk.devices() == [], 20, lambda: "empty contact list: %s" % desk.devices())


def test_revoking_ends_what_runs_within_a_second(pair):
    pepper, desk = pair
    desk.cli("pair", enroll(pepper)["token"], "--json").ok()
    pepper.host("Peer")
    desk.wait_device("pepper")
    watcher = desk.start("watcher", [binary(), "watch", "pepper/Peer.moved", "--json"])

    def heard():
        pepper.call("Peer.move", 1, "before")
        return watcher.lines()
    until(heard, 30, lambda: "events: " + watcher.describe())
    start = time.monotonic()
    revoked = pepper.cli("revoke", desk.jid, "--json").ok().json
    assert revoked["jid"] == desk.jid and revoked["fingerprint"] == fingerprint(desk)
    until(lambda: pepper.cli("status", "--json").ok().json["tunnels"] == [], 10, "end of the tunnel")
    assert time.monotonic() - start < 2, "a second, and the time of three commands"
    pepper.call("Peer.move", 2, "after")
    denied = desk.cli("call", "pepper/Peer.concat", "1", "2", "3", "--json", "--timeout", "10s")
    assert denied.code in (3, 4, 5), str(denied)
    assert not [line for line in watcher.lines() if "after" in line]
    until(lambda: pepper.devices() == [], 20, lambda: "empty contact list: %s" % pepper.devices())
    assert pinned(pepper) == {}
    assert "revoked" in pepper.cli("trust", desk.jid).ok().out


def test_a_revoked_device_comes_back_by_a_new_token(pair):
    """ejabberd lets an account have five subscription stanzas, in and out, and then none until a minute after the last one."""
    pepper, desk = pair
    desk.cli("pair", enroll(pepper)["token"], "--json").ok()
    pepper.host("Peer")
    desk.wait_device("pepper")
    pepper.cli("revoke", desk.jid, "--json").ok()
    until(lambda: pepper.devices() == [], 20, lambda: "empty contact list: %s" % pepper.devices())
    desk.cli("pair", enroll(pepper)["token"], "--json", timeout=150).ok()
    for home, other in ((pepper, desk), (desk, pepper)):
        assert [row["subscription"] for row in home.devices() if row["jid"] == other.jid] == ["both"]
    until(lambda: desk.cli("call", "pepper/Peer.concat", '"x"', "1", '"y"', "--json").code == 0, 30, "call after pairing again")


def test_devices_of_two_servers_pair(folder):
    """Each with an account on a server of its own, which know each other as servers on the internet do."""
    with Federation(folder / "servers") as (alpha, beta):
        homes = []
        for server, name in ((alpha, "pepper"), (beta, "desk")):
            server.register(name, name + "-secret")
            home = Home(folder, name).write_account(server, name)
            home.jid = server.jid(name)
            homes.append(home)
        pepper, desk = homes
        with pepper, desk:
            for home in homes:
                home.up().wait_online()
            made = enroll(pepper, "--name", "desk")
            paired = desk.cli("pair", "--json", stdin=made["token"] + "\n").ok().json
            assert (paired["jid"], paired["own"]) == ("pepper@alpha.test", "desk@beta.test")
            assert pinned(desk) == {pepper.jid: fingerprint(pepper)} and pinned(pepper) == {desk.jid: fingerprint(desk)}
            desk.wait_device("pepper")
            pepper.wait_device("desk")
            pepper.host("Peer")
            desk.host("Peer")
            assert desk.call("pepper/Peer.concat", "a", 7, "b") == "a7b"
            assert pepper.call("desk/Peer.concat", "c", 8, "d") == "c8d"
            secret = made["token"].split("/")[1]
            for server in (alpha, beta):
                assert secret not in server.passed() and "urn:qimesh:pair:1" in server.passed()
            pepper.cli("revoke", desk.jid, "--json").ok()
            until(lambda: pepper.devices() == [] and desk.cli("call", "pepper/Peer.concat", '"x"', "1", '"y"', "--json").code != 0, 20, "end of the contact")


def test_a_new_key_is_refused_until_it_is_accepted(pair):
    pepper, desk = pair
    desk.cli("pair", enroll(pepper)["token"], "--json").ok()
    pepper.host("Peer")
    desk.wait_device("pepper")
    assert desk.call("pepper/Peer.concat", "a", 1, "b") == "a1b"
    old = fingerprint(pepper)
    assert pepper.cli("identity", "rotate").code == 2, "not without being asked"
    rotated = pepper.cli("identity", "rotate", "--yes", "--json").ok().json
    assert rotated["old"] == old and rotated["fingerprint"] == fingerprint(pepper) != old
    assert rotated["contacts"] == [desk.jid]

    def refused():
        answer = desk.cli("call", "pepper/Peer.concat", '"a"', "1", '"b"', "--json")
        return answer.code == 4 and "another key than before" in answer.error["message"]
    until(refused, 30, "refusal of the new key")
    shown = desk.cli("trust", pepper.jid).ok().out
    assert old in shown and rotated["fingerprint"] in shown
    desk.cli("trust", pepper.jid, "--accept", "--json").ok()
    until(lambda: desk.cli("call", "pepper/Peer.concat", '"a"', "1", '"b"', "--json").code == 0, 30, "call with the new key")
    desk.cli("trust", pepper.jid, "--forget", "--json").ok()
    assert pinned(desk) == {} and desk.cli("trust", pepper.jid, "--forget").code == 3


def modules(picture):
    """The modules of a code in half-block characters, without its border; True is dark."""
    rows = []
    for line in picture:
        rows.append([character not in "█▀" for character in line])
        rows.append([character not in "█▄" for character in line])
    size = len(picture[0]) - 8
    return [row[4:4 + size] for row in rows[4:4 + size]]


def test_the_code_in_the_terminal_is_the_token(pair):
    pepper, _ = pair
    answer = pepper.cli("enroll", "--qr", "--name", "b\u00fcro").ok()
    token = answer.out.strip()
    assert token.startswith("qimesh:" + pepper.jid)
    picture = [line for line in answer.err.splitlines() if "█" in line]
    drawn = modules(picture)
    version = (len(drawn) - 17) // 4
    # Of level and mask the code itself says which of the sixteen it is: exactly one is right in every module.
    same = 0
    for level in (qrcode.constants.ERROR_CORRECT_L, qrcode.constants.ERROR_CORRECT_M):
        for mask in range(8):
            other = qrcode.QRCode(version=version, error_correction=level, mask_pattern=mask, border=0)
            other.add_data(qrcode.util.QRData(token.encode(), mode=qrcode.util.MODE_8BIT_BYTE))
            try:
                other.make(fit=False)
            except qrcode.exceptions.DataOverflowError:
                continue
            same += other.get_matrix() == drawn
    assert same == 1, "\n".join(picture)


def test_the_code_is_whole_at_the_end_of_a_terminal_of_24_lines(pair):
    pepper, _ = pair
    lines = at_terminal(pepper, "enroll", "--name", "pepper").ok().out.splitlines()
    picture = [line for line in lines if line and not set(line) - set("█▀▄ ")]
    assert 20 <= len(picture) <= 23 and lines[-len(picture):] == picture, "\n".join(lines)
    assert pepper.cli("enroll", "--cancel", "all", "--json").ok()


def test_owners_see_what_they_should(pair):
    pepper, desk = pair
    assert pepper.cli("enroll", "--no-qr").ok().err.count("█") == 0
    for wrong in (["--valid", "1h"], ["--list", "--cancel", "x"]):
        assert pepper.cli("enroll", *wrong).code == 2
    assert pepper.cli("enroll", "--cancel", "deadbeef", "--json").code == 3
    assert pepper.cli("enroll", "--as", "nobody@mesh.test", "--json").code == 3
    assert "not used yet" in pepper.cli("status").ok().out
    assert pepper.cli("enroll", "--cancel", "all", "--json").ok().json["cancelled"] == 1
    identity = desk.cli("identity", "--json").ok().json
    assert identity["jids"] == [desk.jid] and identity["fingerprint"].startswith("SHA256:")
    assert desk.cli("identity").ok().out.strip() == identity["fingerprint"]
    assert desk.cli("revoke", "no such device", "--json").code == 3
