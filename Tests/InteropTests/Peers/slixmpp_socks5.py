"""A SOCKS5 bytestream over Jingle (XEP-0260) with slixmpp, which has no Jingle: the stanzas are made by hand here, TCP and SOCKS5 and the
discovery of proxies are slixmpp's own (xep_0065).

    slixmpp_socks5.py PORT CA JID PASSWORD PEER ROLE WAY

ROLE: `initiator` or `responder`. WAY: `direct` (dials the peer's addresses), `theirs` (the peer's proxy), `ours` (a proxy that this side
discovers and offers). Says `online`, then `open KIND`, then `echoed` once eleven bytes went there and back, then `closed`.
"""
import asyncio
import hashlib
import sys
import xml.etree.ElementTree as ET

from slixmpp import ClientXMPP
from slixmpp.plugins.xep_0065 import Socks5Protocol
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

JINGLE = "urn:xmpp:jingle:1"
S5B = "urn:xmpp:jingle:transports:s5b:1"
APPLICATION = "urn:qimesh:tunnel:1"


def say(line):
    print(line, flush=True)


class Peer(ClientXMPP):
    def __init__(self, ca, jid, password, other, role, way):
        super().__init__(jid, password)
        self.ca_certs, self.enable_direct_tls = ca, False
        self.other, self.role, self.way = other, role, way
        self.register_plugin("xep_0030")
        self.register_plugin("xep_0065")
        self.register_plugin("xep_0199")
        self["xep_0030"].add_feature(JINGLE)
        self.steps = asyncio.Queue()
        self.received = asyncio.Queue()
        self.register_handler(Callback("jingle", MatchXPath("{jabber:client}iq/{%s}jingle" % JINGLE), self.jingle))
        self.add_event_handler("session_start", self.start)
        self.add_event_handler("socks5_data", self.received.put_nowait)
        self.add_event_handler("socks5_closed", lambda error: self.received.put_nowait(None))
        self.presence_of_other = asyncio.Event()
        self.add_event_handler("presence_available", self.seen)

    async def start(self, event):
        await self.get_roster()
        self.send_presence()
        say("online")
        self.tasks = asyncio.ensure_future(self.initiate() if self.role == "initiator" else self.respond())

    def seen(self, presence):
        if presence["from"].bare == self.other.split("/")[0]:
            self.presence_of_other.set()

    def jingle(self, iq):
        jingle = iq.xml.find("{%s}jingle" % JINGLE)
        iq.reply().send()
        self.steps.put_nowait((str(iq["from"]), jingle))

    async def step(self, *wanted):
        """The next step of the peer whose action or element is one of these."""
        while True:
            sender, jingle = await asyncio.wait_for(self.steps.get(), 20)
            transport = jingle.find(".//{%s}transport" % S5B)
            names = [jingle.get("action")] + [child.tag.split("}")[1] for child in (transport if transport is not None else [])]
            for name in wanted:
                if name in names:
                    return name, sender, jingle, transport

    async def tell(self, action, sid, inside, stream):
        iq = self.make_iq_set(ito=self.other)
        text = "<jingle xmlns='%s' action='%s' sid='%s' %s='%s'><content creator='initiator' name='stream'>%s%s</content></jingle>" % (
            JINGLE, action, sid, self.role, self.boundjid.full,
            "<description xmlns='%s'/>" % APPLICATION if action.startswith("session-") else "",
            "<transport xmlns='%s' sid='%s'%s>%s</transport>" % (S5B, stream, self.digest_attribute(stream), inside))
        iq.xml.append(ET.fromstring(text))
        await iq.send(timeout=10)

    def digest(self, stream, offering, other):
        return hashlib.sha1((stream + offering + other).encode()).hexdigest()

    def digest_attribute(self, stream):
        return " dstaddr='%s'" % self.digest(stream, self.boundjid.full, self.other)

    async def our_candidates(self):
        """Our own server's proxies, as slixmpp finds them."""
        if self.way != "ours":
            return ""
        proxies = await self["xep_0065"].discover_proxies(timeout=10)
        self.proxy = next(iter(proxies))
        host, port = proxies[self.proxy]
        return "<candidate cid='mine' host='%s' port='%s' jid='%s' priority='655360' type='proxy'/>" % (host, port, self.proxy)

    async def initiate(self):
        await asyncio.wait_for(self.presence_of_other.wait(), 20)
        self.sid, self.stream = "session1", "stream1"
        await self.tell("session-initiate", self.sid, await self.our_candidates(), self.stream)
        _, _, _, transport = await self.step("session-accept")
        await self.negotiate(transport)
        self.protocol.transport.write(b"hello world")
        await self.read(11)
        say("echoed")
        await self.end()

    async def respond(self):
        _, self.other, jingle, transport = await self.step("session-initiate")
        self.sid, self.stream = jingle.get("sid"), transport.get("sid")
        await self.tell("session-accept", self.sid, await self.our_candidates(), self.stream)
        await self.negotiate(transport)
        self.protocol.transport.write(await self.read(11))
        say("echoed")
        await self.end()

    async def connect_to(self, digest, host, port):
        _, protocol = await self["xep_0065"]._connect_proxy(digest, host, int(port))
        await asyncio.wait_for(protocol.connected, 5)
        return protocol

    async def negotiate(self, theirs):
        wanted = {"direct": "direct", "theirs": "proxy"}.get(self.way)
        used = None
        for candidate in theirs.iter("{%s}candidate" % S5B):
            if candidate.get("type") == wanted and used is None:
                self.protocol = await self.connect_to(theirs.get("dstaddr"), candidate.get("host"), candidate.get("port"))
                used = candidate.get("cid")
        word = "<candidate-used cid='%s'/>" % used if used else "<candidate-error/>"
        await self.tell("transport-info", self.sid, word, self.stream)
        name, _, _, transport = await self.step("candidate-used", "candidate-error")
        if self.way == "ours":
            assert name == "candidate-used" and transport[0].get("cid") == "mine", ET.tostring(transport)
            host, port = self["xep_0065"]._proxies[self.proxy]
            self.protocol = await self.connect_to(self.digest(self.stream, self.boundjid.full, self.other), host, port)
            await self["xep_0065"].activate(self.proxy, self.stream, self.other, timeout=10)
            await self.tell("transport-info", self.sid, "<activated cid='mine'/>", self.stream)
        elif self.way == "theirs":
            await self.step("activated")
        say("open %s" % self.way)

    async def read(self, count):
        data = b""
        while len(data) < count:
            more = await asyncio.wait_for(self.received.get(), 20)
            assert more is not None, "closed after %d bytes" % len(data)
            data += more
        return data

    async def end(self):
        """The peer closes; both the socket and the session end."""
        while await asyncio.wait_for(self.received.get(), 20) is not None:
            pass
        await self.step("session-terminate")
        say("closed")


async def main():
    port, ca, jid, password, other, role, way = sys.argv[1:8]
    peer = Peer(ca, jid, password, other, role, way)
    peer.connect("127.0.0.1", int(port))
    loop = asyncio.get_running_loop()
    # The leash: the test closes our standard input.
    await loop.run_in_executor(None, sys.stdin.read)
    ended = peer.disconnected
    peer.disconnect(wait=0.5)
    await asyncio.wait([ended], timeout=5)


asyncio.run(main())
