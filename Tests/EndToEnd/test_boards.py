"""A robot of three computers on one network: a master, a member board, and a client without a node. Real libqi on each."""
import json

import pytest
from homes.boards import Switch
from homes.home import PEERS, PYTHON, binary, failures
from homes.processes import until

CHECKS = 18  # of client.py, the connection included


@pytest.fixture(scope="module")
def robot(module_folder):
    """(master, member, client); `Peer` on the member listens to its own board only, `Arm` to the network, `Head` on the master."""
    with Switch(module_folder) as switch:
        master = switch.board("master", role="master")
        member = switch.board("member", role="member", directory=master.outer_url)
        client = switch.board("client")
        master.up()
        member.up()
        member.host("Peer")
        member.host("Arm", listen="tcp://%s:0" % member.address)
        master.host("Head")
        yield master, member, client


def wait_ids(board, names, *arguments, seconds=20):
    """The ids as `board` lists them, once it lists all of `names`."""
    last = {}

    def listed():
        last.clear()
        last.update(board.ids(*arguments))
        return set(names) <= set(last)
    until(listed, seconds, lambda: "%s in the list of %s: %s" % (names, board.name, last))
    return dict(last)


def test_every_board_lists_everything_under_the_same_ids(robot):
    master, member, client = robot
    names = ["Arm", "Head", "Peer"]
    ids = wait_ids(master, names)
    assert len(set(ids.values())) == 3
    assert wait_ids(member, names) == ids
    assert client.ids("--url", master.outer_url) == ids
    assert client.ids("--url", member.outer_url) == ids
    rows = {row["name"]: row for row in master.cli("ls", "--json").ok().json["services"]}
    assert rows["Arm"]["machine"] == rows["Peer"]["machine"] != rows["Head"]["machine"]
    names = {"Arm": "member", "Head": "master", "Peer": "member", "ServiceDirectory": "master"}
    for board, expected in ((master, names), (member, {**names, "ServiceDirectory": "member"})):
        assert {row["name"]: row["board"] for row in board.cli("ls", "--json").ok().json["services"]} == expected
    assert "member" in next(line for line in master.cli("ls").ok().out.splitlines() if " Arm " in line)
    status = member.cli("status", "--json").ok().json
    assert (status["role"], status["master"], status["masterTrouble"]) == ("member", master.outer_url, "")


@pytest.mark.parametrize("service", ["Peer", "Arm"])
def test_member_service_from_the_client_by_libqi(robot, service):
    master, _, client = robot
    checks = client.battery("--url", master.outer_url, "--service", service, seconds=180)
    assert failures(checks) == [] and len(checks) == CHECKS


def test_member_service_from_the_master_by_libqi(robot):
    master, _, _ = robot
    checks = master.battery("--url", master.url, "--service", "Peer", seconds=180)
    assert failures(checks) == [] and len(checks) == CHECKS


def test_master_service_from_the_member_by_libqi(robot):
    _, member, _ = robot
    checks = member.battery("--url", member.url, "--service", "Head", seconds=180)
    assert failures(checks) == [] and len(checks) == CHECKS


@pytest.mark.parametrize("service", ["Peer", "Arm"])
def test_calls_go_straight_from_board_to_board(robot, service):
    """A megabyte each way passes the client's and the member's interface, and not the master's."""
    master, member, client = robot
    text = "x" * 1_000_000
    (client.folder / "big.json").write_text(json.dumps(text))
    before = {board.name: board.carried() for board in robot}
    answer = client.cli("call", service + ".echo_string", "@" + str(client.folder / "big.json"), "--url", master.outer_url, "--json")
    assert answer.ok().json["result"] == text
    carried = {board.name: board.carried() - before[board.name] for board in robot}
    assert carried["client"] > 2_000_000 and carried["member"] > 2_000_000, carried
    assert carried["master"] < 200_000, carried


def test_the_connection_is_the_clients_own(robot):
    master, member, client = robot
    watch = client.start("direct", [binary(), "watch", "Arm.spoken", "--url", master.outer_url, "--json"])
    until(lambda: client.connected_to(member) and client.connected_to(master), 20, watch.describe)
    watch.stop()


def test_names_are_unique_over_the_robot(robot):
    _, member, _ = robot
    second = member.peer("service", "--leash", "--url", member.url, "--name", "Head", name="second-head")
    assert second.wait_end(20) != 0
    assert "already registered" in second.log.read_text()


def test_master_killed_in_the_middle(robot):
    """kill -9 and a new start, with calls and subscriptions under way. Nothing of ours is restarted, no event comes twice or is lost,
    and libqi parties that connect again find everything under the old ids."""
    master, member, client = robot
    returning = master.start("returning-host", [PYTHON, PEERS / "returning.py", "host", "--url", master.url, "--name", "Back"])
    returning.wait_line(lambda line: line == "ready", 20)
    before = wait_ids(member, ["Arm", "Back", "Head", "Peer"])
    caller = client.start(
        "returning-client", [PYTHON, PEERS / "returning.py", "client", "--url", master.outer_url, "--name", "Peer"])
    caller.wait_line(seconds=20, what="connection")
    watches = [
        client.start("watch-" + name, [binary(), "watch", name + ".spoken", "--url", master.outer_url, "--json"])
        for name in ("Peer", "Arm")]
    # From the member's own directory: through it and, for what is there, the master.
    watches.append(member.start("watch-inside", [binary(), "watch", "Peer.spoken", "--json"]))
    said = []

    def say(text):
        said.append(text)
        for name in ("Peer", "Arm"):
            member.call(name + ".say", text)

    def heard(watch):
        return [json.loads(line)["arguments"][0] for line in watch.lines()]

    # A watch tells nothing when it has subscribed: it has when something said comes. What it may have missed is left out.
    def all_hear():
        member.call("Peer.say", "first")
        member.call("Arm.say", "first")
        return all(heard(watch) for watch in watches)
    until(all_hear, 20, lambda: "\n".join(watch.describe() for watch in watches))

    def events(watch):
        return [text for text in heard(watch) if text != "first"]

    for number in range(3):
        say("before %d" % number)
    master.node.kill()
    for number in range(3):
        say("without %d" % number)
    # Look-ups on the member keep working.
    assert member.ids() == before
    assert member.call("Peer.echo_string", "still here") == "still here"
    away = client.cli("ls", "--url", master.outer_url, "--json")
    assert away.code == 5 and away.error["retryable"] is True
    master.up(name="node-again")
    until(lambda: returning.lines().count("ready") >= 2, 30, lambda: "second registration of " + returning.describe())
    # `Head` is a host that does not come back by itself.
    after = wait_ids(master, ["Arm", "Back", "Peer"])
    assert {name: before[name] for name in ("Arm", "Back", "Peer")} == {name: after[name] for name in ("Arm", "Back", "Peer")}
    for number in range(3):
        say("after %d" % number)
    for watch in watches:
        until(lambda: len(events(watch)) >= len(said), 20, lambda: "%s of %s" % (events(watch), watch.describe()))
        assert watch.running, watch.describe()
        assert events(watch) == said
    until(lambda: len(caller.lines()) >= 2, 30, lambda: "second connection of " + caller.describe())
    first, second = [json.loads(line)["connected"] for line in caller.lines()[:2]]
    assert first["Peer"] == second["Peer"] == before["Peer"]
    assert member.cli("status", "--json").ok().json["masterTrouble"] == ""
    for child in (*watches, caller, returning):
        child.stop()


def test_an_owner_that_ends_is_gone_within_two_seconds(robot):
    master, member, _ = robot
    brief = member.host("Brief")
    wait_ids(master, ["Brief"])
    brief.kill()
    for board in (member, master):
        until(lambda: "Brief" not in board.ids(), 2, lambda: "removal of Brief on " + board.name)


def test_a_silent_board_is_gone_within_thirty_seconds_and_comes_back(robot):
    """As by a cut of power: nothing is closed. When it can be heard again, its services have the ids that they had."""
    master, member, _ = robot
    before = wait_ids(master, ["Arm", "Peer"])
    member.go_silent()
    try:
        # The CLI's own time included.
        until(lambda: not {"Arm", "Peer"} & set(master.ids()), 32, lambda: "removal of the member's services")
        # Its own clients go on.
        assert member.call("Peer.echo_string", "alone") == "alone"
    finally:
        member.speak_again()
    after = wait_ids(master, ["Arm", "Peer"], seconds=60)
    assert {name: after[name] for name in ("Arm", "Peer")} == {name: before[name] for name in ("Arm", "Peer")}
