"""What `online`, `stale` and `offline` mean when processes hang, die and return while a server knows nothing of it; and `qimesh ping`."""
import json
import os
import re
import signal
import time

import pytest

from homes.home import Home, binary, meet
from homes.processes import until
from homes.prosody import Prosody

ACCOUNTS = {"pepper": "pepper-secret", "desk": "desk-secret"}


@pytest.fixture
def two(folder):
    """`(desk, pepper, server)`: two devices that know each other, on a server that writes down every stanza."""
    with Prosody(folder, ACCOUNTS, stanzas=True) as server, Home(folder, "pepper") as pepper, Home(folder, "desk") as desk:
        for home in (pepper, desk):
            home.write_account(server, home.name).let_contacts_do_everything(server).up().wait_online()
        meet(desk, pepper, server)
        yield desk, pepper, server
        if pepper.node is not None and pepper.node.running:
            os.kill(pepper.node.pid, signal.SIGCONT)


def row(home):
    return next(row for row in home.devices() if row["name"] == "pepper")


class WatchedDevices:
    """A running `qimesh devices --watch --json`."""

    def __init__(self, home):
        self.child = home.start("watch", [binary(), "devices", "--watch", "--json"])

    def wait(self, state, seconds, after=0):
        """Until a line after the first `after` says that pepper is in this state. Returns how many lines there are then."""
        def look():
            lines = self.child.lines()
            for number, line in enumerate(lines[after:], after + 1):
                device = json.loads(line)["device"]
                if device["name"] == "pepper" and device["state"] == state:
                    return number
            return None
        return until(look, seconds, lambda: "pepper %s in %s" % (state, self.child.describe()))


def test_a_stopped_device_is_stale_within_20_s_and_online_again_within_10(two):
    desk, pepper, server = two
    assert row(desk)["rtt"] > 0 and row(desk)["staleSince"] is None
    watch = WatchedDevices(desk)
    lines = watch.wait("online", 10)
    os.kill(pepper.node.pid, signal.SIGSTOP)
    start = time.monotonic()
    lines = watch.wait("stale", 20, lines)
    print("watched: stale after %.1f s" % (time.monotonic() - start))
    shown = row(desk)
    assert shown["state"] == "stale" and shown["staleSince"] < time.time() and "does not answer" in shown["note"]
    text = desk.cli("devices").ok()
    assert re.search(r"^pepper +stale ", text.out, re.MULTILINE) and "1 stale" in text.out and "does not answer" in text.err
    # A call says so, too, and does not hang for ever.
    failed = desk.cli("call", "pepper/Peer.concat", "--wait-online", "2s", "--json")
    assert failed.code == 6 and "does not answer" in failed.error["message"], failed
    os.kill(pepper.node.pid, signal.SIGCONT)
    start = time.monotonic()
    watch.wait("online", 10, lines)
    print("watched: online after %.1f s" % (time.monotonic() - start))
    assert row(desk)["state"] == "online"


def test_one_who_only_looks_now_and_then_sees_it_as_well(two):
    desk, pepper, server = two
    row(desk)
    os.kill(pepper.node.pid, signal.SIGSTOP)
    start = time.monotonic()
    desk.wait_device("pepper", "stale", seconds=20)
    print("looked at: stale after %.1f s" % (time.monotonic() - start))
    # How long a look takes when one does not answer.
    start = time.monotonic()
    assert row(desk)["state"] == "stale"
    assert time.monotonic() - start < 4
    os.kill(pepper.node.pid, signal.SIGCONT)
    start = time.monotonic()
    desk.wait_device("pepper", "online", seconds=10)
    print("looked at: online after %.1f s" % (time.monotonic() - start))


def test_a_killed_device_is_not_online_after_20_s_and_online_10_s_after_its_restart(two):
    desk, pepper, server = two
    watch = WatchedDevices(desk)
    watch.wait("online", 10)
    pepper.node.kill()
    start = time.monotonic()
    gone = until(lambda: row(desk)["state"] in ("stale", "offline") and row(desk), 20, "stale or offline pepper")
    print("killed: %s after %.1f s" % (gone["state"], time.monotonic() - start))
    pepper.up(name="node-again").wait_online()
    start = time.monotonic()
    desk.wait_device("pepper", "online", seconds=10)
    print("restarted: online %.1f s after its login" % (time.monotonic() - start))


def test_devices_that_no_one_looks_at_are_not_asked(two):
    desk, pepper, server = two
    row(desk)

    def questions():
        """How often a device was asked whether it is alive; the questions to servers are about streams."""
        return sum("urn:xmpp:ping" in line and "@" in line for line in server.passed().splitlines())
    before = questions()
    assert before > 0
    # Longer than a sign of life counts, after which a device that is watched is asked. That nothing happens takes time to see.
    quiet = time.monotonic() + 12
    until(lambda: time.monotonic() > quiet or questions() > before, 15, "end of the watch")
    assert questions() == before
    row(desk)
    assert questions() > before


def test_a_server_of_ours_that_is_silent_makes_no_device_stale(two):
    desk, pepper, server = two
    row(desk)
    watch = WatchedDevices(desk)
    watch.wait("online", 10)
    with server.paused():
        # The question is late after 10 s at most, and our own server has 5 s to answer then. The stream is given up after 25.
        quiet = time.monotonic() + 17
        until(lambda: time.monotonic() > quiet or "stale" in "".join(watch.child.lines()), 20, "end of the silence")
    assert [json.loads(line)["device"]["state"] for line in watch.child.lines()] == ["online"], watch.child.describe()
    assert row(desk)["state"] == "online"


def test_a_device_on_a_narrow_path_is_slow_and_not_stale(folder):
    """What a server on the open network lets through; the answer to a question waits behind the bytes of a large result."""
    with Prosody(folder, ACCOUNTS, rate="10kb/s") as server, Home(folder, "pepper") as pepper, Home(folder, "desk") as desk:
        for home in (pepper, desk):
            home.write_account(server, home.name).let_contacts_do_everything(server).up().wait_online()
        meet(desk, pepper, server)
        pepper.host("Peer")
        watch = WatchedDevices(desk)
        watch.wait("online", 10)
        start = time.monotonic()
        desk.cli("call", "pepper/Peer.bytes_of", "200000", "--timeout", "100s", "--json", timeout=120).ok()
        took = time.monotonic() - start
        assert took > 15, "the path is not narrow: 200 kB in %.1f s" % took
        states = {json.loads(line)["device"]["state"] for line in watch.child.lines()}
        assert states == {"online"}, watch.child.describe()
        print("200 kB in %.0f s, round trip then %.0f ms" % (took, row(desk)["rtt"]))


def test_ping_measures_and_sums_up(two):
    desk, pepper, server = two
    answer = desk.cli("ping", "pepper", "-c", "3", "-i", "200ms").ok()
    lines = answer.out.splitlines()
    assert len(lines) == 4, answer
    for number, line in enumerate(lines[:3], 1):
        assert re.fullmatch(r"%s/qimesh: seq=%d path=xmpp time=[\d.]+ ms" % (re.escape(server.jid("pepper")), number), line), answer
    assert re.fullmatch(r"pepper: 3 sent, 3 answered, 0 % lost, round trip .* ms / .* ms / .* ms \(least / mean / most\)", lines[3]), answer
    answer = desk.cli("ping", server.jid("pepper"), "-c", "2", "-i", "200ms", "--json").ok()
    documents = [json.loads(line) for line in answer.out.splitlines()]
    assert [document.get("seq") for document in documents] == [1, 2, None], answer
    assert all(document["ok"] and document["path"] == "xmpp" and document["rtt"] > 0 for document in documents[:2]), answer
    assert documents[2]["sent"] == documents[2]["answered"] == 2 and documents[2]["least"] <= documents[2]["most"], answer


def test_ping_is_interrupted_with_a_summary(two):
    desk, pepper, server = two
    child = desk.start("ping", [binary(), "ping", "pepper"])
    child.wait_line(lambda line: "seq=2" in line, 10, "second answer")
    os.kill(child.pid, signal.SIGINT)
    assert child.wait_end(10) == 0
    assert re.match(r"pepper: \d+ sent, \d+ answered", child.lines()[-1]), child.describe()


def test_ping_of_a_stopped_an_offline_and_an_unknown_device(two):
    desk, pepper, server = two
    os.kill(pepper.node.pid, signal.SIGSTOP)
    late = desk.cli("ping", "pepper", "-c", "2", "-i", "200ms", "--timeout", "500ms")
    assert late.code == 6 and "2 sent, 0 answered, 100 % lost" in late.out, late
    assert late.err.startswith("error: pepper did not answer within 500 ms"), late
    late = desk.cli("ping", "pepper", "-c", "1", "--timeout", "500ms", "--json")
    documents = [json.loads(line) for line in late.out.splitlines()]
    assert late.code == 6 and [document["ok"] for document in documents] == [False] * 3, late
    assert documents[0]["seq"] == 1 and documents[-1]["error"]["code"] == "timed-out", late
    os.kill(pepper.node.pid, signal.SIGCONT)
    desk.cli("ping", "pepper", "-c", "1").ok()
    pepper.down()
    desk.wait_device("pepper", "offline")
    gone = desk.cli("ping", "pepper", "-c", "3")
    assert gone.code == 5 and "pepper is offline" in gone.err and gone.out == "", gone
    unknown = desk.cli("ping", "peper", "-c", "1", "--json")
    assert unknown.code == 3 and "did you mean pepper?" in unknown.error["message"], unknown
    assert desk.cli("ping", "tcp://127.0.0.1:1").code == 2
