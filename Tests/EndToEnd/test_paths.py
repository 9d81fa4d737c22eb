"""Which way calls between two homes take, proven by where the bytes are: homes and server are computers of a laboratory network."""
import json
import os
import time

import pytest
import yaml
from homes.boards import Switch, run
from homes.ejabberd import Ejabberd
from homes.home import Home, binary, meet
from homes.processes import until
from homes.prosody import Prosody

ACCOUNTS = {"pepper": "pepper-secret", "desk": "desk-secret"}
BULK = 1 << 20
# Seconds of bulk, echoes and events on a server as it is shipped. The bounds are those of a minute, QIMESH_PACING_SECONDS=60, on a quiet
# machine; in a shorter run only that all arrives.
PACING = int(os.environ.get("QIMESH_PACING_SECONDS", 15))
# Seconds of lost packets: QIMESH_LOST_SECONDS=45 by hand.
LOST = int(os.environ.get("QIMESH_LOST_SECONDS", 17))


class Lab:
    """A server and two homes, on one network."""

    def __init__(self, switch, folder, proxy=False, rate=None):
        self.host = switch.board("server")
        self.server = Prosody(folder, ACCOUNTS, stanzas=True, board=self.host, proxy=proxy, rate=rate)
        self.pepper, self.desk = switch.board("pepper"), switch.board("desk")

    def up(self, apart=False):
        self.server.start()
        if apart:
            self.part()
        for home in (self.pepper, self.desk):
            secret = home.folder / "xmpp.pw"
            secret.touch(mode=0o600)
            secret.write_text(ACCOUNTS[home.name] + "\n")
            account = {"jid": self.server.jid(home.name), "password-file": str(secret), "server": self.server.address,
                       "ca-file": str(self.server.ca)}
            home.write_config(internal={"listen": ["unix:%s" % home.unix_socket, home.url]}, xmpp=[account])
            home.let_contacts_do_everything(self.server).up().wait_online()
        meet(self.desk, self.pepper, self.server)
        self.pepper.host("Peer")
        return self

    def isolate(self, isolated):
        for home in (self.pepper, self.desk):
            plug = "p" + home.address.rsplit(".", 1)[1]
            run("bridge", "-n", home.switch.namespace, "link", "set", "dev", plug, "isolated", "on" if isolated else "off")

    def part(self):
        """From now on no packet goes from one home to the other; the server reaches both."""
        self.isolate(True)

    def join(self):
        self.isolate(False)

    def path(self, *arguments):
        return self.desk.cli("path", "pepper", "--json", *arguments, timeout=90)

    def wait_path(self, kind, seconds=40):
        last = []

        def there():
            last[:] = [self.path().ok().json]
            return last[0]["path"] == kind
        until(there, seconds, lambda: "path %s: %s\n%s" % (kind, last, self.desk.node.describe()))
        return last[0]

    def fetch(self, count=BULK):
        """Has so many bytes come from pepper."""
        assert len(self.desk.cli("call", "pepper/Peer.bytes_of", str(count), "--json", "--timeout", "60", timeout=120).ok().out) > count

    def close(self):
        self.server.stop()


@pytest.fixture
def lab(folder, request):
    options = getattr(request, "param", {})
    with Switch(folder) as switch:
        lab = Lab(switch, folder, options.get("proxy", False), options.get("rate"))
        try:
            yield lab.up(options.get("apart", False))
        finally:
            lab.close()


def test_homes_on_one_network_reach_each_other_directly(lab):
    shown = lab.wait_path("direct")
    assert shown["rtt"] is not None and shown["stream"], shown
    before = lab.pepper.carried(), lab.host.carried()
    lab.fetch()
    assert lab.pepper.carried() - before[0] > BULK
    assert lab.host.carried() - before[1] < BULK / 10, "the server carried what it should not"
    assert lab.path("--require", "direct").code == 0
    row = lab.desk.wait_device("pepper")
    assert row["path"] == "direct", row
    # The server is of no consequence to a call from now on.
    lab.server.stop()
    assert lab.desk.call("pepper/Peer.concat", "a", 7, "b") == "a7b"


def test_a_call_goes_by_the_path_that_it_names_and_says_so(lab):
    lab.wait_path("direct")
    before = lab.host.carried()
    answer = lab.desk.cli("call", "pepper/Peer.bytes_of", "50000", "--path", "in-band", "--json", "--timeout", "60", timeout=90).ok()
    assert answer.json["path"] == "in-band", str(answer)[-500:]
    assert lab.host.carried() - before > 50_000, "the server did not carry what was to go in-band"
    # The command has ended, and with it what it asked for.
    lab.wait_path("direct")
    spoken = lab.desk.cli("call", "pepper/Peer.concat", "a", "1", "b", "-v").ok()
    assert "path: direct, rtt " in spoken.err, str(spoken)
    refused = lab.desk.cli("call", "pepper/Peer.concat", "a", "1", "b", "--path", "proxy", "--json", timeout=60)
    assert refused.code == 8 and "proxy does not work to pepper, which is reached direct" in refused.error["message"], str(refused)
    assert lab.desk.cli("call", "pepper/Peer.concat", "a", "2", "b", "--json").ok().json["path"] == "direct"


def test_a_device_whose_calls_come_directly_is_not_asked_by_xmpp_whether_it_is_alive(lab):
    lab.wait_path("direct")

    def questions():
        return sum("urn:xmpp:ping" in line and "@" in line for line in lab.server.passed().splitlines())
    watch = lab.desk.start("watch", [binary(), "devices", "--watch", "--json"])
    until(watch.lines, 10, "a line of the watch")
    # What had been asked before is answered.
    assert lab.desk.call("pepper/Peer.concat", "a", 0, "b") == "a0b"
    before, begin = questions(), time.monotonic()
    number = 0
    while time.monotonic() - begin < 20:
        number += 1
        assert lab.desk.call("pepper/Peer.concat", "a", number, "b") == "a%db" % number
    assert number > 10 and questions() == before, "asked %d times beside %d calls" % (questions() - before, number)
    # Without calls it is asked.
    until(lambda: questions() > before, 15, "a question to a silent device")


@pytest.mark.parametrize("lab", [{"proxy": True, "apart": True}], indirect=True)
def test_homes_that_share_no_network_use_a_proxy_of_their_server(lab):
    shown = lab.wait_path("proxy", 60)
    assert [row for row in shown["candidates"] if row["path"] == "direct" and row["reason"]], shown
    log = len(lab.server.passed())
    before = lab.host.carried()
    lab.fetch()
    assert lab.host.carried() - before > BULK
    assert len(lab.server.passed()) - log < BULK / 10, "the bytes went through stanzas"
    answer = lab.path("--require", "direct")
    assert answer.code == 8 and "direct" in answer.error["message"], str(answer)


@pytest.mark.parametrize("lab", [{"apart": True}], indirect=True)
def test_without_another_way_calls_go_in_band(lab):
    lab.fetch(50_000)
    shown = lab.wait_path("in-band")

    def tried():
        rows = {row["path"]: row["reason"] for row in lab.path().ok().json["candidates"]}
        return rows.get("direct") and rows.get("proxy")
    until(tried, 60, "both better ways tried")
    assert lab.path().ok().json["advice"], shown
    text = lab.desk.cli("path", "pepper").ok().out
    assert "in use   in-band" in text and "direct" in text, text


def test_a_direct_path_that_dies_in_silence_loses_no_call(lab):
    """No packet comes through any more, and nothing says so: the stream goes on in-band, and directly again when that works."""
    lab.wait_path("direct")
    waiting = lab.desk.peer("client", "--url", lab.desk.url, "--service", "pepper/Peer", "--only", "slow_call",
                            "--slow", "25", name="waiting")
    waiting.wait_line(lambda line: "connect" in line)
    lab.part()
    begin = time.monotonic()
    answer = lab.desk.cli("call", "pepper/Peer.concat", '"a"', "1", '"b"', "--json", "--timeout", "60", timeout=90).ok()
    assert answer.json["result"] == "a1b" and time.monotonic() - begin < 35
    row = json.loads(waiting.wait_line(lambda line: "slow_call" in line, 60))
    assert row["ok"], row
    lab.wait_path("in-band")
    lab.join()
    lab.wait_path("direct", 90)


@pytest.mark.parametrize("lab", [{"apart": True}], indirect=True)
def test_calls_in_flight_outlive_their_server(lab):
    """In-band alone: the server is away for 20 s, and both devices log in again."""
    lab.fetch(1000)
    waiting = lab.desk.peer("client", "--url", lab.desk.url, "--service", "pepper/Peer", "--only", "slow_call",
                            "--slow", "15", name="waiting")
    waiting.wait_line(lambda line: "connect" in line)
    until(lambda: lab.desk.call("pepper/Peer.concat", "a", 1, "b") == "a1b", 10, "a call beside the slow one")
    begin = time.monotonic()
    lab.server.stop()
    until(lambda: time.monotonic() - begin > 20, 25, "20 s without a server")
    lab.server.start()
    row = json.loads(waiting.wait_line(lambda line: "slow_call" in line, 60))
    assert row["ok"], row
    assert lab.desk.call("pepper/Peer.concat", "a", 2, "b") == "a2b"
    assert lab.path().ok().json["changes"] >= 1


def listen(desk, seconds, *arguments):
    """Has a client of desk's take pepper's events, send echoes and fetch bulk for so long."""
    child = desk.peer("beat", "listen", "--url", desk.url, "--name", "pepper/Beat", "--seconds", str(seconds), *arguments, name="listen")
    child.wait_line(lambda line: "ready" in line, 60)
    return child


def told(child, seconds):
    """What the client found; all arrived, in order, and nothing was done twice."""
    found = json.loads(child.wait_line(lambda line: "ages" in line, seconds))
    print("bulk %d B, echoes %s ms, events up to %d ms old, %d of them" % (
        found["bulk"], found["echoes"], max(found["ages"]), len(found["ages"])))
    assert not found["errors"] and not found["missing"] and not found["disorder"] and not found["twice"], found
    return found


@pytest.mark.parametrize("lab", [{"apart": True, "rate": "10kb/s"}], indirect=True)
def test_lost_packets_lose_neither_calls_nor_events(lab):
    """In-band alone, on a server as it is shipped: no packet of it passes for a while, and nothing says so."""
    lab.pepper.peer("beat", "serve", "--url", lab.pepper.url).wait_line()
    listener = listen(lab.desk, LOST + 5, "--bulk", "0", "--events", "2", "--patience", "60")
    begin = time.monotonic()
    lab.host.go_silent()
    until(lambda: time.monotonic() - begin > LOST, LOST + 5, "packets lost for %d s" % LOST)
    lab.host.speak_again()
    found = told(listener, LOST + 90)
    assert max(found["echoes"]) < (LOST + 35) * 1000, found["echoes"]
    assert max(found["ages"]) < (LOST + 35) * 1000, found["ages"]


# Bytes a second that the server lets through: its limit less base64. Seconds that 95 % of the echoes may take, and that an event may be
# old.
SHIPPED = {
    "prosody": (lambda folder: Prosody(folder, ACCOUNTS, rate="10kb/s"), 7500, 2, 3),
    "ejabberd": (lambda folder: Ejabberd(folder, ACCOUNTS, shaped=True), 2250, 4, 3),
}
# Bytes of an event, and of an echo's answer: header and arguments.
EVENT, ECHO = 44, 56


@pytest.mark.parametrize("make", SHIPPED)
def test_echoes_and_events_stay_fresh_beside_bulk_on_a_server_as_it_is_shipped(folder, make):
    make, rate, patience, age = SHIPPED[make]
    with make(folder) as server, Home(folder, "pepper") as pepper, Home(folder, "desk") as desk:
        join_in_band(server, pepper, desk)
        pepper.peer("beat", "serve", "--url", pepper.url).wait_line()
        found = told(listen(desk, PACING, "--bulk", "10000"), PACING + 60)
        assert found["bulk"] > 0 and len(found["ages"]) > PACING, found
        for home in (pepper, desk):
            assert home.node.log.read_text().count(" online") <= 1, home.node.describe()
        if PACING >= 60:
            echoes = sorted(found["echoes"])
            passed = found["bulk"] + EVENT * len(found["ages"]) + ECHO * len(echoes)
            assert passed / PACING >= 0.7 * rate, passed / PACING
            assert echoes[int(len(echoes) * 0.95)] <= patience * 1000, echoes
            assert max(found["ages"]) <= age * 1000, max(found["ages"])


def join_in_band(server, pepper, desk):
    """Two homes with nothing but a server between them."""
    for home in (pepper, desk):
        home.write_account(server, home.name)
        content = yaml.safe_load(home.config.read_text())
        home.write_config(xmpp=content["xmpp"], paths={"order": ["in-band"], "in-band-max": "2MB"})
        home.let_contacts_do_everything(server).up().wait_online()
    meet(desk, pepper, server)


@pytest.fixture
def narrow(folder):
    """`(pepper, desk, server)` with nothing but a server as it is shipped between them."""
    with Prosody(folder, ACCOUNTS, stanzas=True, rate="10kb/s") as server:
        with Home(folder, "pepper") as pepper, Home(folder, "desk") as desk:
            join_in_band(server, pepper, desk)
            pepper.host("Peer")
            yield pepper, desk, server


def test_small_calls_pass_a_large_answer_on_a_server_with_its_stock_limits(narrow):
    """Of ten calls beside one answer of 500 kB, seven used to fail within 10 s."""
    pepper, desk, server = narrow
    assert desk.call("pepper/Peer.concat", "a", 0, "b", timeout=60) == "a0b"
    bulk = desk.start("bulk", [binary(), "call", "pepper/Peer.bytes_of", "500000", "--json", "--timeout", "300"])
    begin = len(server.passed())
    until(lambda: len(server.passed()) - begin > 40_000, 30, "bulk on its way")
    times = []
    for number in range(10):
        begin = time.monotonic()
        assert desk.call("pepper/Peer.concat", "a", number, "b", timeout=60) == "a%db" % number
        times.append(round(time.monotonic() - begin, 2))
    print("calls beside bulk took", times)
    assert bulk.running, "the bulk was over before the calls: nothing was shown"
    # The caller goes, and its bytes with it.
    bulk.kill()
    begin = time.monotonic()
    until(lambda: time.monotonic() - begin > 3, 5, "3 s")
    before = len(server.passed())
    begin = time.monotonic()
    until(lambda: time.monotonic() - begin > 4, 6, "4 s more")
    assert len(server.passed()) - before < 12_000, "the answer still comes"


def test_a_result_that_takes_longer_than_the_caller_waits_is_refused_at_once(narrow):
    pepper, desk, server = narrow

    def fetch(count, *options):
        begin = time.monotonic()
        answer = desk.cli("call", "pepper/Peer.bytes_of", str(count), "--json", *options, timeout=120)
        return answer, time.monotonic() - begin
    # How fast the path is shows once it carries something.
    answer, _ = fetch(60_000, "--timeout", "90")
    assert len(answer.ok().out) > 60_000
    answer, took = fetch(150_000, "--max-size", "1M", "--timeout", "12")
    assert answer.code == 1 and answer.error["code"] == "limit" and took < 6, (took, str(answer)[-800:])
    message = answer.error["message"]
    assert "the result is 150.0 kB, too much for the path in-band" in message and "and the caller waits 1" in message, message
    answer, took = fetch(60_000, "--max-size", "50k", "--timeout", "90")
    assert answer.code == 1 and took < 6, (took, str(answer)[-800:])
    assert "the result is 60.0 kB, and the caller accepts 50.0 kB" in answer.error["message"], str(answer)
    # In its time it is not refused.
    answer, took = fetch(60_000, "--max-size", "1M", "--timeout", "90")
    assert len(answer.ok().out) > 60_000
