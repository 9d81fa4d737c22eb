"""A person with an ordinary XMPP client (slixmpp), whose every stanza the test chooses and sees.

Also what a contact checks for itself: the caps hash of XEP-0115 §5.1, computed here from the disco answer.
"""
import asyncio
import base64
import hashlib
import itertools
import threading
import xml.etree.ElementTree as ET
from xml.sax.saxutils import quoteattr

from slixmpp import ClientXMPP

from .processes import Unmet

CLIENT = "{jabber:client}"
STANZAS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
DISCO_INFO = "http://jabber.org/protocol/disco#info"
DISCO_ITEMS = "http://jabber.org/protocol/disco#items"
CAPS = "{http://jabber.org/protocol/caps}c"
JINGLE = "urn:xmpp:jingle:1"
IBB = "http://jabber.org/protocol/ibb"
FORM = "{jabber:x:data}"


def condition(iq):
    """`(type, condition)` of an error answer, or None of a result."""
    error = iq.find(CLIENT + "error")
    if error is None:
        return None
    return error.get("type"), next(child.tag[len(STANZAS):] for child in error if child.tag.startswith(STANZAS))


def caps_hash(query):
    """The verification string of a disco#info `<query/>` (XEP-0115 §5.1, sha-1)."""
    def sorted_bytes(lines):
        return sorted(lines, key=lambda line: line.encode())

    xml_lang = "{http://www.w3.org/XML/1998/namespace}lang"
    space = "{%s}" % DISCO_INFO
    parts = sorted_bytes("/".join((i.get("category"), i.get("type"), i.get(xml_lang, ""), i.get("name", "")))
                         for i in query.iter(space + "identity"))
    parts += sorted_bytes(f.get("var") for f in query.iter(space + "feature"))
    forms = {}
    for form in query.iter(FORM + "x"):
        fields = {f.get("var"): [v.text or "" for v in f.iter(FORM + "value")] for f in form.iter(FORM + "field")}
        forms[fields.pop("FORM_TYPE")[0]] = fields
    for name in sorted_bytes(forms):
        parts.append(name)
        for var in sorted_bytes(forms[name]):
            parts += [var] + sorted_bytes(forms[name][var])
    return base64.b64encode(hashlib.sha1("".join(part + "<" for part in parts).encode()).digest()).decode()


class Contact:
    """Lives on a thread of its own; all methods may be called from the test's."""

    def __init__(self, server, user, resource="chat"):
        self.bare, self.full = server.jid(user), "%s/%s" % (server.jid(user), resource)
        self._server, self._password = server, server.accounts[user]
        self._ids = itertools.count(1)
        self._changed = threading.Condition()
        self.inbox = []
        self._online = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)

    # --- sending

    def send(self, text):
        self._loop.call_soon_threadsafe(self._client.send_raw, text)

    def request(self, kind, to, payload, seconds=10, id=None):
        """Sends an IQ with `payload` as its text and returns the answer, result or error."""
        id = id or "t%d" % next(self._ids)
        self.send("<iq type=%s to=%s id=%s>%s</iq>" % (quoteattr(kind), quoteattr(to), quoteattr(id), payload))
        return self.wait(lambda s: s.tag == CLIENT + "iq" and s.get("id") == id and s.get("from") == to
                         and s.get("type") in ("result", "error"), seconds, "answer to %s" % payload)

    def presence(self, text="<presence/>"):
        self.send(text)

    def subscribe(self, bare):
        self.send("<presence type='subscribe' to=%s/>" % quoteattr(bare))

    def approve(self, bare):
        self.send("<presence type='subscribed' to=%s/>" % quoteattr(bare))

    def disco(self, to, node=None, namespace=DISCO_INFO):
        """The `<query/>` of a disco answer."""
        extra = " node=%s" % quoteattr(node) if node else ""
        answer = self.request("get", to, "<query xmlns='%s'%s/>" % (namespace, extra))
        assert answer.get("type") == "result", ET.tostring(answer)
        return answer.find("{%s}query" % namespace)

    def fence(self, to=None):
        """Returns once the server has passed on all that this client sent, and all it sent us has arrived: order is kept."""
        self.request("get", to or self._server.domain, "<ping xmlns='urn:xmpp:ping'/>")

    # --- receiving

    def wait(self, accept, seconds=20, what="stanza"):
        """The first stanza in the inbox that `accept` likes, past or future."""
        def look():
            return next((stanza for stanza in self.inbox if accept(stanza)), None)
        with self._changed:
            self._changed.wait_for(lambda: look() is not None, seconds)
            found = look()
            if found is None:
                raise Unmet("after %g s: no %s among\n%s" % (
                    seconds, what, "\n".join(ET.tostring(s, "unicode")[:300] for s in self.inbox[-20:])))
            return found

    def wait_presence(self, bare, kind=None, seconds=20):
        """The latest presence of that type (None: available) from any resource of `bare`."""
        def accept(stanza):
            return (stanza.tag == CLIENT + "presence" and (stanza.get("from") or "").split("/")[0] == bare
                    and stanza.get("type") == kind)
        self.wait(accept, seconds, "%s presence of %s" % (kind or "available", bare))
        with self._changed:
            return [stanza for stanza in self.inbox if accept(stanza)][-1]

    def forget(self):
        """Empties the inbox, to wait for something that may have happened before."""
        with self._changed:
            self.inbox.clear()

    def received_from(self, bare):
        with self._changed:
            return [stanza for stanza in self.inbox if (stanza.get("from") or "").split("/")[0] == bare]

    # --- life

    def start(self, seconds=20):
        self._thread.start()
        if not self._online.wait(seconds):
            raise Unmet("%s could not log in" % self.full)
        return self

    def stop(self):
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._leave.set)
            self._thread.join(10)

    def _live(self):
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        client = self._client = ClientXMPP(self.full, self._password)
        client.ca_certs = str(self._server.ca)
        client.enable_direct_tls = False
        client.auto_authorize = client.auto_subscribe = None
        client.whitespace_keepalive = False
        client.add_filter("in", self._take)
        client.add_event_handler("session_start", self._begin)
        self._leave = asyncio.Event()
        self._loop.run_until_complete(self._until_leave())

    async def _until_leave(self):
        client = self._client
        client.connect("127.0.0.1", self._server.port)
        await self._leave.wait()
        ended = client.disconnected
        client.disconnect(wait=0.5)
        await asyncio.wait([ended], timeout=5)
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    async def _begin(self, _event):
        self.send("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>")
        self.send("<presence/>")
        self._online.set()

    def _take(self, stanza):
        """Everything but the login goes to the inbox and no further: slixmpp must not answer for the test."""
        if not self._online.is_set():
            return stanza
        xml = stanza.xml
        if xml.tag == CLIENT + "iq" and xml.get("type") in ("get", "set"):
            # Streams are negotiated by requests of the peer: a plain "yes" keeps them going.
            answer = "<iq type='result' id=%s" % quoteattr(xml.get("id"))
            self._client.send_raw(answer + (" to=%s/>" % quoteattr(xml.get("from")) if xml.get("from") else "/>"))
        with self._changed:
            self.inbox.append(xml)
            self._changed.notify_all()
        return None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


def befriend(person, home, server):
    """Mutual subscription between a person and a node; where it exists already, nothing changes."""
    bare = server.jid(home.name)
    home.cli("invite", person.bare, "--name", person.bare.split("@")[0], "--json").ok()
    person.approve(bare)
    person.subscribe(bare)
    person.wait_presence(bare)
