"""Who is let in: what the owner says, and what a server's operator can do to the contact list. On a real Prosody, which shares groups: it
puts each member into the contact list of the others, subscribed both ways, under names of its own choice."""
import json

import pytest
from homes.contact import Contact
from homes.home import Home, meet
from homes.processes import until
from homes.prosody import DOMAIN, Prosody

ACCOUNTS = {name: name + "-secret" for name in ("pepper", "desk", "desk2", "carol", "mallory")}
FORGED = {
    # Mallory would be `pepper` at desk's, and carol what looks like another's address.
    "forged": [("desk@" + DOMAIN, "desk"), ("mallory@" + DOMAIN, "pepper")],
    "odd": [("desk@" + DOMAIN, "desk"), ("carol@" + DOMAIN, "mallory@" + DOMAIN)],
}


@pytest.fixture
def forging(folder):
    with Prosody(folder, ACCOUNTS, groups=FORGED) as prosody:
        yield prosody


@pytest.fixture
def honest(folder):
    with Prosody(folder, ACCOUNTS) as prosody:
        yield prosody


@pytest.fixture
def home_of(folder):
    """Makes a home with one account, online."""
    homes = []

    def make(name, server, user=None, **more):
        home = Home(folder, name).write_account(server, user or name, **more)
        home.jid = server.jid(user or name)
        homes.append(home)
        home.up().wait_online()
        return home
    yield make
    for home in homes:
        home.close()


def pair(home, other, *options):
    other.cli("pair", home.cli("enroll", "--json").ok().json["token"], *options, "--json").ok()


def row(home, jid):
    return next((row for row in home.devices() if row["jid"] == jid), None)


def pinned(home):
    return {row["jid"]: row["pinned"] for row in home.cli("trust", "--json").ok().json["trusted"]}


def audited(home, event):
    return home.cli("audit", "--event", event, "--json").ok().json["records"]


def refused(answer, *words, code=4):
    assert answer.code == code and all(word in answer.out + answer.err for word in words), str(answer)


def call(home, target):
    return home.cli("call", target + ".concat", '"a"', "1", '"b"', "--json", "--timeout", "10s")


def tunnels(home):
    return home.cli("status", "--json").ok().json["tunnels"]


def test_a_contact_that_only_the_server_lists_gets_no_tunnel(forging, home_of):
    desk, mallory = home_of("desk", forging), home_of("mallory", forging)
    for home in (desk, mallory):
        home.host("Peer")
    listed = desk.wait_device(mallory.jid, state="unconfirmed")
    assert listed["subscription"] == "both" and listed["name"] == mallory.jid and listed["admitted"] == ""
    assert "qimesh approve %s --name pepper" % mallory.jid in listed["note"]
    # The attacker's node takes desk for its contact; that is not enough.
    mallory.cli("approve", desk.jid, "--json").ok()
    for target in (mallory.jid + "/Peer", "pepper/Peer"):
        answer = call(desk, target)
        assert answer.code in (3, 4), str(answer)
    refused(call(desk, mallory.jid + "/Peer"), "not let in on this device")
    assert call(mallory, desk.jid + "/Peer").code != 0
    assert mallory.cli("ls", desk.jid).code != 0
    assert tunnels(desk) == tunnels(mallory) == [] and pinned(desk) == {}
    assert {record["principal"] for record in audited(desk, "unconfirmed")} == {mallory.jid, forging.jid("carol")}
    # What the note says can be pasted, and lets it in.
    desk.cli("approve", mallory.jid, "--name", "pepper", "--json").ok()
    desk.wait_device("pepper")
    mallory.wait_device("desk")
    assert desk.call("pepper/Peer.concat", "a", 1, "b") == mallory.call("desk/Peer.concat", "a", 1, "b") == "a1b"
    assert [(record["principal"], record["target"]) for record in audited(desk, "pin")] == list(pinned(desk).items())


def test_the_server_cannot_turn_a_name_to_another_device(forging, home_of):
    desk, pepper, mallory = (home_of(name, forging) for name in ("desk", "pepper", "mallory"))
    pair(pepper, desk)
    pepper.host("OnPepper")
    mallory.host("OnMallory")
    desk.wait_device("pepper")
    assert row(desk, mallory.jid)["state"] == "unconfirmed"
    # The name is taken, so it is not proposed.
    assert "--name" not in row(desk, mallory.jid)["note"]
    names = desk.services("pepper")
    assert "OnPepper" in names and "OnMallory" not in names
    assert [row["device"] for row in tunnels(desk)] == ["pepper"]


def test_an_address_means_that_address_whatever_the_server_calls_others(forging, home_of):
    desk, carol = home_of("desk", forging), home_of("carol", forging)
    mallory = forging.jid("mallory")
    assert mallory not in row(desk, carol.jid)["note"]
    desk.cli("approve", carol.jid, "--json").ok()
    carol.cli("approve", desk.jid, "--json").ok()
    carol.host("Peer")
    desk.wait_device("carol")
    assert desk.cli("revoke", mallory, "--json").ok().json["jid"] == mallory
    assert row(desk, carol.jid)["admitted"] == "approved"
    assert desk.call("carol/Peer.concat", "a", 1, "b") == "a1b"
    for verb in (["approve", carol.jid], ["invite", carol.jid], ["enroll"]):
        refused(desk.cli(*verb, "--name", "nao@x", "--json"), "cannot be a name", code=2)


def test_a_revoked_key_stays_out_under_another_address(honest, home_of, folder):
    desk, thief = home_of("desk", honest), home_of("pepper", honest)
    pair(thief, desk)
    desk.wait_device("pepper")
    desk.cli("ls", "pepper").ok()
    key = pinned(desk)[thief.jid]
    assert desk.cli("revoke", "pepper", "--json").ok().json["fingerprint"] == key
    assert row(desk, thief.jid) is None
    # The same device, the same key, another account that the owner lets in.
    thief.down()
    thief.write_account(honest, "carol").up(name="node-again").wait_online()
    thief.jid = honest.jid("carol")
    meet(desk, type("Named", (), {"name": "carol", "cli": thief.cli, "node": thief.node, "wait_device": thief.wait_device}), honest)
    for home in (desk, thief):
        home.host("Peer")
    refused(call(desk, "carol/Peer"), "which was revoked on this device")
    assert call(thief, desk.jid + "/Peer").code != 0
    assert pinned(desk) == {} and tunnels(desk) == []


def test_the_server_cannot_end_a_contact(honest, home_of):
    desk, pepper = home_of("desk", honest), home_of("pepper", honest)
    pair(pepper, desk)
    pepper.host("Peer")
    desk.wait_device("pepper")
    with Contact(honest, "desk") as operator:
        operator.send("<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='%s' subscription='remove'/></query></iq>" % pepper.jid)
        desk.wait_device("pepper", state="invited")
    assert row(desk, pepper.jid)["admitted"] == "paired"
    desk.down()
    desk.up(name="node-again").wait_online()
    desk.wait_device("pepper")
    assert desk.call("pepper/Peer.concat", "a", 1, "b") == "a1b"


def test_contacts_are_known_while_the_server_is_away(honest, home_of):
    """A node that starts without its server has nothing but the owner's word."""
    desk, pepper = home_of("desk", honest), home_of("pepper", honest)
    pair(pepper, desk)
    desk.down()
    honest.stop()
    desk.up(name="node-again")
    assert (row(desk, pepper.jid)["state"], row(desk, pepper.jid)["name"]) == ("unknown", "pepper")
    shown = desk.cli("devices").ok()
    assert desk.jid + " is offline itself" in shown.err and "qimesh status" in shown.err, str(shown)
    answer = call(desk, "pepper/Peer")
    assert answer.code == 5 and "pepper" in answer.error["message"] and answer.error["retryable"], str(answer)
    assert desk.cli("deny", "pepper", "--json").ok().json["jid"] == pepper.jid
    assert row(desk, pepper.jid) is None


def test_contacts_of_an_earlier_version_are_confirmed_once(honest, home_of):
    desk, pepper = home_of("desk", honest), home_of("pepper", honest)
    pair(pepper, desk)
    pepper.host("Peer")
    desk.wait_device("pepper")
    before = pinned(desk)
    desk.down()
    trust = desk.folder / ".local/state/qimesh/trust.json"
    content = json.loads(trust.read_text())
    del content["contacts"]
    trust.write_text(json.dumps({**content, "version": 1, "refused": []}))
    desk.up(name="node-again").wait_online()
    desk.node.wait_log("have to be approved once")
    desk.wait_device(pepper.jid, state="unconfirmed")
    refused(call(desk, pepper.jid + "/Peer"), "not let in on this device")
    desk.cli("approve", pepper.jid, "--json").ok()
    desk.wait_device("pepper")
    assert desk.call("pepper/Peer.concat", "a", 1, "b") == "a1b"
    assert pinned(desk) == before


def test_accept_is_the_owners_word_and_revoking_a_stronger_one(honest, home_of):
    desk, pepper = home_of("desk", honest), home_of("pepper", honest, accept=["*@" + DOMAIN])
    pepper.host("Peer")
    desk.cli("invite", pepper.jid, "--json").ok()
    desk.wait_device("pepper")
    assert desk.call("pepper/Peer.concat", "a", 1, "b") == "a1b"
    let_in = row(pepper, desk.jid)
    # Its address was chosen by others, and is no name here.
    assert (let_in["admitted"], let_in["name"]) == ("accept", desk.jid)
    pepper.cli("revoke", desk.jid, "--json").ok()
    until(lambda: row(pepper, desk.jid) is None, 20, "end of the contact")
    desk.cli("invite", pepper.jid, "--json").ok()
    until(lambda: row(pepper, desk.jid), 20, "request of the revoked device")
    assert row(pepper, desk.jid)["state"] == "asks" and call(desk, "pepper/Peer").code != 0


def test_accept_lets_in_nobody_that_only_the_server_lists(forging, home_of):
    """Mallory's server has entered it in desk's list, subscribed both ways. Nobody asked."""
    desk, mallory = home_of("desk", forging, accept=["*@" + DOMAIN]), home_of("mallory", forging)
    for home in (desk, mallory):
        home.host("Peer")
    desk.wait_device(mallory.jid, state="unconfirmed")
    # The attacker's node takes desk for its contact, and asks.
    mallory.cli("approve", desk.jid, "--json").ok()
    assert call(mallory, desk.jid + "/Peer").code != 0
    refused(call(desk, mallory.jid + "/Peer"), "not let in on this device")
    assert row(desk, mallory.jid)["admitted"] == "" and tunnels(desk) == []
    desk.cli("approve", mallory.jid, "--json").ok()
    desk.wait_device("mallory")
    assert mallory.call(desk.jid + "/Peer.concat", "a", 1, "b") == "a1b"


def test_a_word_that_the_server_did_not_take_leaves_a_revocation(honest, home_of):
    desk, pepper = home_of("desk", honest), home_of("pepper", honest)
    pair(pepper, desk)
    key = pinned(desk)[pepper.jid]
    desk.cli("revoke", "pepper", "--json").ok()
    with honest.paused():
        answer = desk.cli("invite", pepper.jid, "--json")
        assert answer.code != 0 and "did not take that" in answer.error["message"], str(answer)
    state = json.loads((desk.folder / ".local/state/qimesh/trust.json").read_text())
    assert state["contacts"] == [] and [(entry["jid"], entry["key"]) for entry in state["revoked"]] == [(pepper.jid, key)]
    assert [record["access"] for record in audited(desk, "contact")][-2:] == ["invited", "ended"]
    # Said again while the server answers, it is the owner's word.
    desk.wait_online()
    desk.cli("invite", pepper.jid, "--json").ok()
    assert "revoked" not in json.loads((desk.folder / ".local/state/qimesh/trust.json").read_text())


def test_no_name_is_proposed_that_a_device_of_another_account_has(honest, home_of):
    desk = home_of("desk", honest)
    desk.cli("invite", "pepper@" + DOMAIN, "--json").ok()
    desk.down()
    secret = desk.folder / "second.pw"
    secret.touch(mode=0o600)
    secret.write_text(honest.accounts["desk2"] + "\n")
    import yaml
    config = yaml.safe_load(desk.config.read_text())
    config["xmpp"].insert(0, {**config["xmpp"][0], "jid": honest.jid("desk2"), "password-file": str(secret)})
    desk.config.write_text(yaml.safe_dump(config))
    desk.up(name="node-again").wait_online()
    assert desk.cli("invite", "pepper@elsewhere.test", "--json").ok().json["name"] == ""
    assert desk.cli("approve", "pepper", "--json").ok().json["jid"] == honest.jid("pepper")


def test_a_name_that_two_have_is_refused_by_every_verb(honest, home_of):
    desk = home_of("desk", honest)
    first = desk.cli("invite", honest.jid("pepper"), "--name", "lamp", "--json").ok().json
    assert first["name"] == "lamp"
    taken = desk.cli("invite", honest.jid("carol"), "--name", "lamp", "--json")
    assert taken.code == 1 and taken.error["code"] == "conflict" and honest.jid("pepper") in taken.error["message"], str(taken)
    # Two accounts of one node, each with a lamp of its own: only a file that was edited has that.
    desk.down()
    trust = desk.folder / ".local/state/qimesh/trust.json"
    content = json.loads(trust.read_text())
    content["contacts"].append({**content["contacts"][0], "account": honest.jid("desk2"), "jid": honest.jid("carol")})
    trust.write_text(json.dumps(content))
    secret = desk.folder / "second.pw"
    secret.touch(mode=0o600)
    secret.write_text(honest.accounts["desk2"] + "\n")
    import yaml
    config = yaml.safe_load(desk.config.read_text())
    config["xmpp"].append({**config["xmpp"][0], "jid": honest.jid("desk2"), "password-file": str(secret)})
    desk.config.write_text(yaml.safe_dump(config))
    desk.up(name="node-again").wait_online()
    both = "%s, %s" % (honest.jid("pepper"), honest.jid("carol"))
    for verb in (["ls", "lamp"], ["call", "lamp/Peer.x"], ["watch", "lamp/Peer.x"], ["info", "lamp/Peer"], ["get", "lamp/Peer.x"], ["tunnel", "lamp"],
                 ["revoke", "lamp"], ["deny", "lamp"], ["approve", "lamp"], ["invite", "lamp"], ["trust", "lamp"], ["trust", "lamp", "--forget"]):
        answer = desk.cli(*verb, "--json")
        assert answer.code == 2 and not answer.error["retryable"], str(answer)
        assert all(jid in answer.error["message"] for jid in both.split(", ")), str(answer)
    assert len(desk.devices()) == 2
    desk.cli("approve", honest.jid("carol"), "--name", "light", "--json")
    assert desk.cli("deny", honest.jid("pepper"), "--json").ok().json["jid"] == honest.jid("pepper")


def test_who_never_asked_is_not_approved_and_names_work_for_every_verb(honest, home_of):
    desk, pepper = home_of("desk", honest), home_of("pepper", honest)
    for verb in ("approve", "deny"):
        answer = desk.cli(verb, pepper.jid, "--json")
        refused(answer, "has not asked to be", code=3)
    assert "qimesh invite %s" % pepper.jid in desk.cli("approve", pepper.jid, "--json").error["hint"]
    pepper.cli("invite", desk.jid, "--json").ok()
    asks = desk.wait_device(pepper.jid, state="asks")
    assert "qimesh approve %s" % pepper.jid in asks["note"]
    assert desk.cli("approve", pepper.jid, "--name", "robot", "--json").ok().json["name"] == "robot"
    pepper.host("Peer")
    desk.wait_device("robot")
    assert desk.call("robot/Peer.concat", "a", 1, "b") == "a1b"
    # The word said again changes the name, and the old one means none.
    assert desk.cli("approve", "robot", "--name", "tin man", "--json").ok().json["note"] == "it was a contact already"
    refused(call(desk, "robot/Peer"), "no device", code=3)
    assert desk.call("tin man/Peer.concat", "a", 1, "b") == "a1b"
    assert desk.cli("trust", "tin man", "--json").ok().json["jid"] == pepper.jid
    assert desk.cli("policy", "check", "tin man", "Peer.concat", "--json").ok().json["decision"] == "allow"
    assert desk.cli("trust", "tin man", "--forget", "--json").ok().json["jid"] == pepper.jid
    assert desk.cli("invite", "tin man", "--json").ok().json["jid"] == pepper.jid
    assert desk.cli("deny", "tin man", "--json").ok().json["jid"] == pepper.jid
    until(lambda: row(desk, pepper.jid) is None, 20, lambda: "end of the contact: %s" % desk.devices())
    for verb in (["revoke", "tin man"], ["deny", "tin man"], ["approve", "tin man"], ["trust", "tin man"], ["ls", "tin man"], ["call", "tin man/Peer.x"]):
        refused(desk.cli(*verb, "--json"), "tin man", code=3)
