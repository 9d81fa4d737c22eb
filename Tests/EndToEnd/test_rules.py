"""One policy at all doors: the same rules for the same somebody, who comes in at `tcps` as a user, at `tcpsm` by the certificate of a key
and through XMPP as the device that has this key. And those who only say that they are somebody.

`tcps` is there twice, because libqi itself asks for nothing that it is not shown. Used and revoked applications are in `test_apps.py`,
wrong tokens of users in `test_gateway.py`."""
import time

import pytest
from homes.callers import ENDED, ByHand, with_certificate
from homes.contact import IBB, condition
from homes.doors import DOORS, SERVICES, World
from homes.frames import Refused
from homes.home import Home
from homes.keys import Authority, Key
from homes.processes import until
from homes.rules import ACCESS, ACTS, NUMBERS, PHRASE, ROWS, number_of, policy, rules_for


@pytest.fixture(scope="module")
def world(module_folder, server):
    world = World(module_folder, server)
    try:
        yield world.begin(policy(world.key.fingerprint, rules_for(world.key.fingerprint)))
    finally:
        world.close()


@pytest.fixture(scope="module", params=DOORS)
def door(request, world):
    return world.doors[request.param]


@pytest.fixture
def change(world):
    """Has rules taken out and others put behind the rest; afterwards all is as before."""
    key = world.key.fingerprint

    def change(without=(), **more):
        rules = {name: rule for name, rule in rules_for(key).items() if name not in without}
        world.enforce(policy(key, {**rules, **more}))
    yield change
    change()


# The binding of libqi posts to signals only.
CASES = [(door, *row) for door in DOORS for row in ROWS if (door, row[0]) != ("tcps by libqi", "post")]


@pytest.mark.parametrize("door, kind, target, is_allowed, rule", CASES, indirect=["door"], ids=["%s-%s %s" % case[:3] for case in CASES])
def test_rule(door, kind, target, is_allowed, rule):
    world, access = door.world, ACCESS.get(kind, kind)
    service, member = target.split(".")
    said = refusal = None
    try:
        said = ACTS[kind](door, service, member)
    except Refused as refused:
        refusal = str(refused)
    record = dict(principal=door.who, target=target, access=access, rule=number_of(rule), path=door.path, zone="internet")
    if is_allowed:
        assert refusal is None, refusal
        if said:
            assert world.inside.hear(said)
        world.audited(event="call", decision="allow", **record)
    else:
        why = "rule %d" % number_of(rule) if rule else "no rule allows it"
        # Nobody is told what became of a post.
        expected = None if kind in ("post", "emit") else "denied: %s may not %s %s (%s)" % (door.who, PHRASE.get(kind, kind), target, why)
        assert refusal == expected
        world.audited(event="denied", decision="deny", **record)
    if said and not is_allowed:
        world.inside.call(service, "say", "after " + said)
        assert world.inside.hear("after " + said)
        assert said not in [values[-1] for values in world.inside.heard()]


def refusal(act, *arguments):
    with pytest.raises(Refused) as caught:
        act(*arguments)
    return str(caught.value)


def test_hosting(door, world):
    name = "Vision%d" % next(NUMBERS)
    door.caller.register(name)
    assert name in world.inside.services()
    assert "denied: %s may not register Other (no rule allows it)" % door.who in refusal(door.caller.register, "Other")
    assert "Other" not in world.inside.services()
    world.audited(event="denied", principal=door.who, target="Other", access="register", rule=None, path=door.path)
    # What it hosts is not another's to use: no rule lists it.
    others = [other for other in world.doors.values() if other is not door and other.is_by_hand]
    assert all(name not in other.caller.services() for other in others)


def test_services_are_hidden_and_members_are_not(door, world):
    seen = [name for name in door.caller.services() if not name.startswith("Vision")]
    assert seen == sorted({"ServiceDirectory", *SERVICES} - {"Past", "Brief", "Alone", "Hidden"})
    # What may be used in part is shown whole, to everyone the same.
    whole = set(world.inside.members("Kinds"))
    for service in ("Kinds", "Order", "Mixed", "Keyed"):
        assert set(door.caller.members(service)) == whole, service
    answers = [refusal(door.caller.look_up, name).replace(name, "X") for name in ("Hidden", "Past", "Nowhere")]
    assert len(set(answers)) == 1 and "Cannot find service 'X' in index" in answers[0]
    for name in ("Hidden", "Past"):
        world.audited(event="denied", principal=door.who, target=name, access="look-up", path=door.path)


def test_a_rate_and_a_size(door, world):
    for _ in range(3):
        assert door.caller.call("Rare", "echo_string", "x") == "x"
    expected = "limit: %s: 3 calls per hour are allowed: try again in" % door.who
    assert expected in refusal(door.caller.call, "Rare", "echo_string", "x")
    # Counted for whoever it is, not for each of its connections.
    other = door.open()
    assert expected in refusal(other.call, "Rare", "echo_string", "x")
    other.close()
    world.audited(event="limited", principal=door.who, target="Rare.echo_string", rule=number_of("rare"), path=door.path)
    assert door.caller.call("Small", "echo_string", "x" * 900) == "x" * 900
    assert "1000 are allowed" in refusal(door.caller.call, "Small", "echo_string", "x" * 1000)
    world.audited(event="limited", principal=door.who, target="Small.echo_string", rule=number_of("small"), path=door.path)
    # Others are not counted with it.
    assert door.caller.call("Kinds", "concat", "a", 7, "b") == "a7b"


def test_a_rule_that_expires(door, world, change):
    end = int(time.time()) + 3
    change(brief={"who": "group:desk", "allow": ["Brief.*"], "expires": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end))})
    door.caller.listen("Brief", "spoken")
    world.inside.call("Brief", "say", "before the end")
    assert door.caller.hear("before the end")
    assert "Brief" in door.caller.services() and time.time() < end

    def ended():
        try:
            door.caller.call("Brief", "echo_string", "x")
        except Refused:
            return time.time()
    # Within a second, and two more for a machine that does other things beside.
    assert end <= until(ended, 5, "end of the rule") < end + 3
    assert "Brief" not in door.caller.services()

    def is_silent():
        said = "after the end %d" % next(NUMBERS)
        world.inside.call("Brief", "say", said)
        assert door.caller.call("Kinds", "concat", "a", 7, "b") == "a7b"
        return [said] not in door.caller.heard()
    until(is_silent, max(0.1, end + 3 - time.time()), "end of the subscription")
    assert door.caller.lost() == 0


def test_a_reload_is_felt_on_the_live_session(door, world, change):
    caller = door.caller
    caller.listen("Live", "spoken")
    world.inside.call("Live", "say", "before the reload")
    assert caller.hear("before the reload") and caller.call("Live", "echo_string", "x") == "x"
    change(without=["live"], less={"who": "group:desk", "call": ["Live.concat"]})
    begun = time.monotonic()

    def refused():
        try:
            caller.call("Live", "echo_string", "x")
        except Refused as error:
            return str(error)
    assert "denied: %s may not call Live.echo_string (no rule allows it)" % door.who in until(refused, 1, "effect of the reload")
    assert time.monotonic() - begun < 1
    world.audited(event="denied", principal=door.who, target="Live.echo_string", access="call", path=door.path)
    world.inside.call("Live", "say", "after the reload")
    assert caller.call("Live", "concat", "a", 7, "b") == "a7b"
    assert ["after the reload"] not in caller.heard()
    change(without=["live"])
    assert "Live" not in caller.services()
    change()
    # libqi's proxies end with what is out of sight, and its session does not: it is the same connection all the time.
    caller.look_up("Live")
    assert caller.call("Live", "echo_string", "x") == "x" and door.caller is caller and caller.lost() == 0


def test_an_exclusive_session(door, world, change):
    door.close()
    change(alone={"who": "group:desk", "allow": ["Alone.*"], "exclusive": True})
    first = door.open()
    assert first.call("Alone", "echo_string", "x") == "x"

    def is_let_in():
        try:
            second = door.open()
        except ENDED:
            return False
        try:
            return second.call("Alone", "echo_string", "x") == "x"
        except (Refused, *ENDED):
            return False
        finally:
            second.close()
    assert not is_let_in()
    world.audited(event="denied", principal=door.who, access="connect", path=door.path, detail="its rule is exclusive")
    assert first.call("Alone", "echo_string", "x") == "x"
    first.close()
    until(is_let_in, 5, "end of the first session")


# --- who only says that it is somebody


@pytest.fixture(scope="module")
def carol(world):
    """Another contact, of whom no rule speaks."""
    carol = world.contact("carol")
    carol.key = Key(world.folder, "carol")
    return carol


def is_let_do_nothing(world, caller, who, path):
    """A caller of whom no rule speaks is told so, with what to type, and is audited as who it is."""
    command = ["policy", "check", who, "ServiceDirectory.services", "call", "--zone", "internet"]
    told = "denied: %s has no rule; on that node: qimesh %s" % (who, " ".join(command))
    assert refusal(caller.services) == refusal(caller.look_up, "Kinds") == refusal(caller.register, "Vision") == told
    checked = world.robot.cli(*command)
    assert checked.code == 4 and checked.out.startswith("deny   no rule lists it"), str(checked)
    world.audited(event="denied", principal=who, target="ServiceDirectory.service", path=path, rule=None)
    caller.close()


def test_stanzas_replayed_by_another_account(world, carol, stranger):
    """The server does not let anybody write another's name on a stanza: what is said again is the other's, in a tunnel of its own."""
    good = world.doors["xmpp"]
    begun = len(world.desk.sent)
    fresh = good.open()
    recorded = [(iq, iq.split("id=\"")[1].split("\"")[0]) for iq in world.desk.sent[begun:]]
    assert all("from=\"%s\"" % world.desk.full in iq for iq, _ in recorded) and len(recorded) > 4
    known = len(world.desk.received_from(world.server.jid("pepper")))

    def say_again(person):
        for iq, id in recorded:
            person.send(iq)
            yield person.wait(lambda stanza: stanza.get("id") == id and stanza.get("type") in ("result", "error"), 10, "answer to " + iq)
    assert {condition(answer) for answer in say_again(stranger)} == {("cancel", "service-unavailable")}
    answers = [condition(answer) for answer in say_again(carol)]
    session = fresh.wire.stream.session
    accepted = carol.wait(lambda stanza: any(child.get("sid") == session and child.get("action") == "session-accept" for child in stanza))
    # Its own session; and inside it the words of another's handshake are worth nothing.
    assert accepted.get("to") == carol.full and answers[0] is None
    carol.wait(lambda stanza: any(child.get("sid") in (session, fresh.wire.stream.sid) and (
        child.get("action") == "session-terminate" or child.tag == "{%s}close" % IBB) for child in stanza), 10, "end of the stream")
    assert fresh.call("Kinds", "concat", "a", 7, "b") == "a7b"
    # And whose words they were has heard nothing of it.
    assert world.desk.received_from(world.server.jid("pepper"))[known:] == []
    fresh.close()


def refused_tunnel(world, device, key, names=None):
    """What is said to whoever is not let in at all, if anything is."""
    with pytest.raises((Refused, *ENDED)) as caught:
        device.tunnel(world.address, key, names)
    return str(caught.value)


def test_false_keys_and_names_through_xmpp(world, carol):
    robot = world.robot
    good = world.doors["xmpp"].caller
    fingerprint, other = world.key.text, Key(world.folder, "other")
    # Somebody who has the password of the account, and not the device's key.
    refused_tunnel(world, world.desk, other)
    row = next(row for row in robot.cli("trust", "--json").ok().json["trusted"] if row["jid"] == world.desk.bare)
    assert (row["pinned"], row["refused"]) == (fingerprint, other.text), row
    refused = dict(event="refused", target="tunnel", access="connect", decision="deny", zone="internet")
    world.audited(principal=world.desk.bare, path="device " + world.desk.bare, detail="another key than before", **refused)
    # Somebody who has the device's key, and not its account.
    refused_tunnel(world, carol, world.key)
    world.audited(principal=carol.bare, path="device " + carol.bare, detail="pinned to desk@mesh.test", **refused)
    # Somebody who has neither.
    assert "calls itself desk@mesh.test" in refused_tunnel(world, carol, carol.key, (world.desk.bare, "pepper@mesh.test"))
    assert "and us carol@mesh.test" in refused_tunnel(world, carol, carol.key, (carol.bare, carol.bare))
    world.audited(principal=carol.bare, path="device " + carol.bare, detail="calls itself desk@mesh.test", **refused)
    is_let_do_nothing(world, ByHand(carol.tunnel(world.address, carol.key), world.inside.shape), carol.bare, "device " + carol.bare)
    assert good.call("Kinds", "concat", "a", 7, "b") == "a7b"


def refused_wire(world, context, *login):
    with pytest.raises((Refused, *ENDED)) as caught:
        world.wire("tcpsm", context).log_in(*login)
    return str(caught.value)


def test_false_certificates(world):
    good = world.doors["tcpsm"].caller
    # In the name of the device and for its very key, but issued by somebody else; made by itself; none.
    elsewhere = Authority(world.folder, "elsewhere").issue(world.key, "desk")
    for certificate in (elsewhere, world.key.certificate, None):
        assert "alert" in refused_wire(world, with_certificate(certificate, world.key))
    world.audited(event="refused", principal="host:127.0.0.1", target="gateway", access="connect", path="tls 127.0.0.1", zone="internet",
                  detail="TLS handshake")
    # In the name of the device, from the right authority, for another key: it is the key that counts.
    thief = Key(world.folder, "thief")
    wire = world.wire("tcpsm", with_certificate(world.authority.issue(thief, "desk"), thief))
    wire.log_in()
    is_let_do_nothing(
        world, ByHand(wire, world.inside.shape), "cert:" + thief.fingerprint, "tls 127.0.0.1, key " + thief.fingerprint)
    # A good certificate makes up for no wrong token.
    assert "unknown user, or wrong token" in refused_wire(world, with_certificate(world.certificate, world.key), "desk", "0" * 48)
    world.audited(event="refused", principal="user:desk", target="gateway", access="connect", path="tls 127.0.0.1, key " + world.key.fingerprint,
                  detail="wrong token")
    assert good.call("Kinds", "concat", "a", 7, "b") == "a7b"


def test_used_and_expired_tokens_are_audited(world, server):
    robot, homes = world.robot, []
    for user in ("first", "second"):
        server.register(user, user + "-secret")
        homes.append(world.stack.enter_context(Home(world.folder, user)).write_account(server, user).up())
    first, second = homes
    first.wait_online()
    second.wait_online()
    token = robot.cli("enroll", "--json").ok().json["token"]
    first.cli("pair", token, "--json").ok()
    assert second.cli("pair", token, "--json").code == 4
    world.audited(event="pair", principal=server.jid("first"), decision="allow")
    world.audited(event="pair", principal=server.jid("second"), decision="deny", path="device " + server.jid("second"), detail="used already")
    token = robot.cli("enroll", "--valid", "1s", "--json").ok().json["token"]
    until(lambda: robot.cli("enroll", "--list", "--json").ok().json["enrollments"][-1]["state"] == "expired", 5, "end of the token")
    assert second.cli("pair", token, "--json").code == 4
    world.audited(event="pair", principal=server.jid("second"), decision="deny", path="device " + server.jid("second"), detail="expired")
    for home in homes:
        home.close()


def test_a_rule_that_becomes_exclusive_counts_who_is_there(door, world, change):
    door.caller.services()
    change(alone={"who": "group:desk", "allow": ["Alone.*"], "exclusive": True})
    with pytest.raises((Refused, *ENDED)):
        door.open().call("Alone", "echo_string", "x")
    assert door.caller.call("Alone", "echo_string", "x") == "x"
