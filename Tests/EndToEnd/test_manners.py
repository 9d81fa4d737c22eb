"""What people's clients and bad peers see of a node: presence, disco, answers to every IQ, and streams under attack."""
import base64
import itertools

import pytest
from homes.contact import CAPS, CLIENT, DISCO_INFO, DISCO_ITEMS, IBB, JINGLE, caps_hash, condition
from homes.processes import Unmet, until

TUNNEL = "urn:qimesh:tunnel:1"
BLOCK = 4096
NUMBERS = itertools.count(1)


@pytest.fixture
def device(server):
    return server.jid("pepper") + "/qimesh"


@pytest.fixture(autouse=True)
def nobody_else_is_hurt(met):
    """After each attack a call between the two nodes still works."""
    pepper, desk = met
    yield
    assert desk.call("pepper/Peer.echo_string", "still here") == "still here"


# --- presence and discovery

def test_contact_sees_presence_with_a_hash_that_verifies(contact, server, device):
    presence = contact.wait_presence(server.jid("pepper"))
    assert presence.get("from") == device
    assert presence.find(CLIENT + "priority").text == "-1"
    caps = presence.find(CAPS)
    assert caps.get("hash") == "sha-1"
    node = caps.get("node") + "#" + caps.get("ver")
    query = contact.disco(device, node)
    assert query.get("node") == node
    assert caps_hash(query) == caps.get("ver")
    assert caps_hash(contact.disco(device)) == caps.get("ver")


def test_disco_answers(contact, device):
    space = "{%s}" % DISCO_INFO
    query = contact.disco(device)
    assert [(i.get("category"), i.get("type")) for i in query.iter(space + "identity")] == [("client", "bot")]
    features = [f.get("var") for f in query.iter(space + "feature")]
    assert len(features) == len(set(features))
    assert {DISCO_INFO, "http://jabber.org/protocol/caps", "urn:xmpp:ping", JINGLE, TUNNEL, IBB,
            "urn:xmpp:jingle:transports:ibb:1", "urn:qimesh:services:1+notify"} <= set(features)
    unknown = contact.request("get", device, "<query xmlns='%s' node='no-such-node'/>" % DISCO_INFO)
    assert condition(unknown) == ("cancel", "item-not-found")
    # Names of services are for the tunnel, and not for the server's eyes.
    assert [item.get("name") for item in contact.disco(device, namespace=DISCO_ITEMS)] == ["device"]


@pytest.mark.parametrize("kind, payload, expected", [
    ("get", "<ping xmlns='urn:xmpp:ping'/>", None),
    ("get", "<query xmlns='urn:example:unknown'/>", ("cancel", "service-unavailable")),
    ("set", "<query xmlns='urn:example:unknown'/>", ("cancel", "service-unavailable")),
    ("get", "", ("modify", "bad-request")),
    ("get", "<a xmlns='urn:example:a'/><b xmlns='urn:example:b'/>", ("modify", "bad-request")),
    ("set", "<data xmlns='%s' sid='nobody' seq='0'>AAAA</data>" % IBB, ("cancel", "item-not-found")),
    ("set", "<close xmlns='%s' sid='nobody'/>" % IBB, ("cancel", "item-not-found")),
    ("set", "<open xmlns='%s' sid='unasked' block-size='4096'/>" % IBB, ("cancel", "not-acceptable")),
    ("set", "<jingle xmlns='%s' action='session-terminate' sid='nobody'/>" % JINGLE, ("cancel", "item-not-found")),
])
def test_every_request_is_answered(contact, device, kind, payload, expected):
    """RFC 6120 §8.2.3 and §8.4, XEP-0047 §2, XEP-0166 §7."""
    assert condition(contact.request(kind, device, payload)) == expected


# --- strangers

@pytest.mark.parametrize("payload", [
    "<ping xmlns='urn:xmpp:ping'/>",
    "<query xmlns='%s'/>" % DISCO_INFO,
    "<query xmlns='%s'/>" % DISCO_ITEMS,
    "<query xmlns='urn:example:unknown'/>",
    "<data xmlns='%s' sid='x' seq='0'>AAAA</data>" % IBB,
    "<open xmlns='%s' sid='x' block-size='4096'/>" % IBB,
])
def test_stranger_gets_the_answer_of_an_empty_place(stranger, server, device, payload):
    kind = "set" if "sid=" in payload else "get"
    seen = stranger.request(kind, device, payload)
    nowhere = stranger.request(kind, server.jid("pepper") + "/nowhere", payload)
    assert condition(seen) == condition(nowhere) == ("cancel", "service-unavailable")


def test_stranger_sees_no_presence_and_opens_no_stream(stranger, server, device):
    stranger.send("<presence to='%s'/>" % device)
    stranger.subscribe(server.jid("pepper"))
    answer = stranger.request("set", device, initiate(stranger, "s-stranger", "ibb-stranger"))
    assert condition(answer) == ("cancel", "service-unavailable")
    stranger.fence()
    for stanza in stranger.received_from(server.jid("pepper")):
        assert stanza.tag != CLIENT + "presence" or stanza.get("type") in ("error", "unavailable"), "the stranger sees presence: %s" % stanza.items()
        assert stanza.get("type") in ("error", "result", "unavailable"), "the stranger was asked something"


# --- streams under attack

def initiate(person, session, stream, application=TUNNEL, block=BLOCK):
    return (
        "<jingle xmlns='%s' action='session-initiate' initiator='%s' sid='%s'>"
        "<content creator='initiator' name='tunnel'><description xmlns='%s'/>"
        "<transport xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='%d' sid='%s'/></content></jingle>"
        % (JINGLE, person.full, session, application, block, stream))


def jingle_of(stanza, action, session):
    jingle = stanza.find("{%s}jingle" % JINGLE)
    return jingle is not None and jingle.get("action") == action and jingle.get("sid") == session


class Stream:
    """An in-band stream that the contact opens to the device by the rules; what comes next need not keep to them."""

    def __init__(self, person, device):
        number = next(NUMBERS)
        self.person, self.device = person, device
        self.session, self.sid = "s-%d" % number, "ibb-%d" % number
        answer = person.request("set", device, initiate(person, self.session, self.sid))
        assert condition(answer) is None
        person.wait(lambda s: jingle_of(s, "session-accept", self.session), what="session-accept")
        answer = person.request("set", device, "<open xmlns='%s' sid='%s' block-size='%d' stanza='iq'/>"
                                % (IBB, self.sid, BLOCK))
        assert condition(answer) is None

    def data(self, seq, content, **options):
        text = content if isinstance(content, str) else base64.b64encode(content).decode()
        return self.person.request("set", self.device, "<data xmlns='%s' sid='%s' seq='%s'>%s</data>"
                                   % (IBB, self.sid, seq, text), **options)

    def gone(self):
        try:
            return condition(self.data(0, b"x", seconds=2)) == ("cancel", "item-not-found")
        except Unmet:  # a flood before it may have used up our share of answers
            return False


@pytest.mark.parametrize("content", ["no base64 at all!", "AAA", "AA=A", "====", "\u00e9\u00e9\u00e9\u00e9", "AAAA<b/>AAAA"])
def test_bad_base64(contact, device, content):
    """XEP-0047 §2.2: bad-request."""
    stream = Stream(contact, device)
    kind, name = condition(stream.data(0, content))
    assert name == "bad-request", kind


@pytest.mark.parametrize("seq", ["1", "65535", "-1", "65536", "0x0", "", "99999999999999999999"])
def test_wrong_sequence_number(contact, device, seq):
    """XEP-0047 §2.2: unexpected-request for a number out of order, bad-request for what is no number; the stream is over."""
    stream = Stream(contact, device)
    kind, name = condition(stream.data(seq, b"hello"))
    assert name in (("unexpected-request",) if seq in ("1", "65535") else ("unexpected-request", "bad-request")), kind
    if seq in ("1", "65535"):
        until(stream.gone, 10, "end of the stream")


def test_oversized_block(contact, device):
    """XEP-0047 §2.2: larger than agreed is bad-request."""
    stream = Stream(contact, device)
    assert condition(stream.data(0, bytes(BLOCK + 1)))[1] == "bad-request"


@pytest.mark.parametrize("block, allowed", [(65535, ("resource-constraint",)), (0, ("bad-request", "not-acceptable")),
                                            (100000, ("bad-request", "resource-constraint", "not-acceptable"))])
def test_block_size_out_of_reason(contact, device, block, allowed):
    """Refused at the open, XEP-0047 §2.1: the session was negotiated for 4096."""
    number = next(NUMBERS)
    session, sid = "s-%d-block" % number, "ibb-%d" % number
    assert condition(contact.request("set", device, initiate(contact, session, sid))) is None
    contact.wait(lambda s: jingle_of(s, "session-accept", session), what="session-accept")
    answer = contact.request("set", device, "<open xmlns='%s' sid='%s' block-size='%d' stanza='iq'/>" % (IBB, sid, block))
    assert condition(answer)[1] in allowed


def test_garbage_where_tls_belongs_ends_the_stream_alone(contact, device):
    stream = Stream(contact, device)
    stream.data(0, b"GET / HTTP/1.1\r\n\r\n" * 50)
    contact.wait(lambda s: s.find("{%s}close" % IBB) is not None and s.find("{%s}close" % IBB).get("sid") == stream.sid
                 or jingle_of(s, "session-terminate", stream.session), what="end of the stream")
    until(stream.gone, 10, "end of the stream")


def test_flood_beyond_the_window_closes_the_stream(contact, device):
    """Blocks sent without waiting for a single acknowledgement: bounded by the node, whatever the sender does."""
    stream = Stream(contact, device)
    block = base64.b64encode(b"\x16\x03\x01\x3f\xff" + bytes(BLOCK - 5)).decode()
    for seq in range(200):
        contact.send("<iq type='set' to='%s' id='flood-%s-%d'><data xmlns='%s' sid='%s' seq='%d'>%s</data></iq>"
                     % (device, stream.sid, seq, IBB, stream.sid, seq, block))
    until(stream.gone, 20, "end of the flooded stream")


def test_flood_of_requests_is_slowed_and_then_dropped(contact, device):
    """§6.7 of the design: 50 requests a second, then wait/resource-constraint, then nothing; and it passes."""
    for number in range(600):
        contact.send("<iq type='get' to='%s' id='many-%d'><ping xmlns='urn:xmpp:ping'/></iq>" % (device, number))
    refused = contact.wait(lambda s: (s.get("id") or "").startswith("many-") and s.get("type") == "error")
    assert condition(refused) == ("wait", "resource-constraint")

    def answered():
        try:
            answer = contact.request("get", device, "<ping xmlns='urn:xmpp:ping'/>", seconds=2)
        except Unmet:  # dropped: the flood is not over yet
            return False
        return condition(answer) is None
    until(answered, 30, "answer after the flood")


def test_unsupported_application_is_declined(contact, device):
    """XEP-0166 §6.3: accepted as a request, then terminated with the reason; or refused at once."""
    session = "s-%d-app" % next(NUMBERS)
    answer = contact.request("set", device, initiate(contact, session, "ibb-app", application="urn:example:video"))
    if condition(answer) is None:
        ended = contact.wait(lambda s: jingle_of(s, "session-terminate", session), what="session-terminate")
        assert ended.find(".//{%s}unsupported-applications" % JINGLE) is not None


def test_session_takes_no_second_stream_name_of_another(contact, device, stranger):
    """A stream belongs to the pair that negotiated it: the same sid from elsewhere is unknown."""
    stream = Stream(contact, device)
    answer = stranger.request("set", device, "<data xmlns='%s' sid='%s' seq='0'>AAAA</data>" % (IBB, stream.sid))
    assert condition(answer) == ("cancel", "service-unavailable")
    assert condition(stream.data(0, b"\x16\x03\x01")) is None


def test_deep_and_large_stanzas(contact, device):
    """Nested deeper than 64 levels and larger than 64 KiB: refused or dropped, and the node lives on."""
    deep = "<a xmlns='urn:example:deep'>" + "<a>" * 500 + "</a>" * 500 + "</a>"
    contact.send("<iq type='get' to='%s' id='deep'>%s</iq>" % (device, deep))
    contact.send("<message to='%s'><body>%s</body></message>" % (device, "x" * 100_000))
    contact.fence(device)
