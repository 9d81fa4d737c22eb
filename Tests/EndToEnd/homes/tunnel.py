"""A device by hand: an XMPP account that opens tunnels (Jingle, in-band bytes, TLS 1.3 inside them, the qi protocol inside that), and of
which the test decides every name, key and stanza."""
import base64
import itertools
import queue
import ssl
import threading
from xml.sax.saxutils import quoteattr

from .contact import CLIENT, IBB, JINGLE, Contact, condition
from .frames import Wire, dynamic, login, text
from .processes import Unmet

TUNNEL = "urn:qimesh:tunnel:1"
BLOCK = 4096
NUMBERS = itertools.count(1)


class Device(Contact):
    """A contact that opens tunnels. What comes on them does not go to the inbox."""

    def __init__(self, server, user, resource="qimesh"):
        super().__init__(server, user, resource)
        self._streams, self._answers = {}, {}
        # Every request it has made, as text: to be heard by others, and said again.
        self.sent = []

    def ask(self, to, payload, seconds=10):
        """As `request`, for many."""
        id = "d%d" % next(NUMBERS)
        place = self._answers[id] = queue.Queue()
        iq = "<iq type='set' from=%s to=%s id=%s>%s</iq>" % (quoteattr(self.full), quoteattr(to), quoteattr(id), payload)
        self.sent.append(iq)
        self.send(iq)
        try:
            return place.get(timeout=seconds)
        except queue.Empty:
            raise Unmet("after %g s: no answer to %s" % (seconds, payload[:200])) from None

    def _take(self, stanza):
        xml = stanza.xml
        place = self._answers.get(xml.get("id")) if xml.get("type") in ("result", "error") else None
        if place is not None:
            place.put(xml)
            return None
        for child in xml if xml.tag == CLIENT + "iq" and xml.get("type") == "set" else ():
            stream = self._streams.get(child.get("sid"))
            if stream is None or not child.tag.startswith(("{%s}" % IBB, "{%s}" % JINGLE)):
                continue
            if child.tag == "{%s}data" % IBB:
                stream.incoming.put(base64.b64decode(child.text or ""))
                self._client.send_raw("<iq type='result' id=%s to=%s/>" % (quoteattr(xml.get("id")), quoteattr(xml.get("from"))))
                return None
            if child.get("action") == "session-accept":
                stream.accepted.set()
            elif child.tag == "{%s}close" % IBB or child.get("action") == "session-terminate":
                stream.incoming.put(b"")
        return super()._take(stanza)

    def tunnel(self, to, key, names=None):
        """A tunnel to that full address, from inside which it says that it is and means `names`, by default what is true. `Refused`,
        `EOFError` or `ssl.SSLError` when the other side does not want it."""
        stream = Bytestream(self, to)
        try:
            tunnel = Tunnel(stream, key)
            tunnel.log_in_as(*(names or (self.bare, to.split("/")[0])))
        except BaseException:
            stream.close()
            raise
        return tunnel

    def expect(self, stream):
        self._streams[stream.sid] = self._streams[stream.session] = stream


class Bytestream:
    """In-band bytes (XEP-0047) of a session that we initiate (XEP-0166, XEP-0261)."""

    def __init__(self, device, to):
        number = next(NUMBERS)
        self.device, self.to = device, to
        self.session, self.sid = "session-%d-%s" % (number, device.bare.split("@")[0]), "bytes-%d-%s" % (number, device.bare.split("@")[0])
        self.incoming, self.accepted = queue.Queue(), threading.Event()
        self._sequence, self._closed = 0, False
        device.expect(self)
        self.initiation = (
            "<jingle xmlns='%s' action='session-initiate' initiator='%s' sid='%s'><content creator='initiator' name='tunnel'>"
            "<description xmlns='%s'/><transport xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='%d' sid='%s'/></content></jingle>"
            % (JINGLE, device.full, self.session, TUNNEL, BLOCK, self.sid))
        self._ask(self.initiation)
        if not self.accepted.wait(10):
            raise Unmet("no session-accept for %s" % self.session)
        self._ask("<open xmlns='%s' sid='%s' block-size='%d' stanza='iq'/>" % (IBB, self.sid, BLOCK))

    def _ask(self, payload):
        answer = self.device.ask(self.to, payload)
        if answer.get("type") == "error":
            raise EOFError("%s to %s" % (condition(answer), payload[:100]))

    def send(self, content):
        for start in range(0, len(content), BLOCK):
            block = base64.b64encode(content[start:start + BLOCK]).decode()
            self._ask("<data xmlns='%s' sid='%s' seq='%d'>%s</data>" % (IBB, self.sid, self._sequence, block))
            self._sequence = (self._sequence + 1) % 65536

    def receive(self, seconds):
        """What comes next; nothing when the stream has ended."""
        try:
            received = self.incoming.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError("nothing came through the tunnel for %g s" % seconds) from None
        if not received:
            self.incoming.put(b"")
        return received

    def close(self):
        if self._closed:
            return
        self._closed = True
        self.device.ask(self.to, "<close xmlns='%s' sid='%s'/>" % (IBB, self.sid))
        self.device.ask(self.to, "<jingle xmlns='%s' action='session-terminate' sid='%s'><reason><success/></reason></jingle>"
                        % (JINGLE, self.session))


class Encrypted:
    """TLS as tunnels have it on a bytestream, with the methods of a socket that `Wire` uses."""

    def __init__(self, stream, key, seconds=10):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols(["qimesh/1"])
        context.load_cert_chain(key.certificate, key.file)
        self.stream, self.seconds = stream, seconds
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out)
        self._until_done(self._tls.do_handshake)

    def _until_done(self, step, *arguments):
        while True:
            try:
                result = step(*arguments)
                self._flush()
                return result
            except ssl.SSLWantReadError:
                self._flush()
                received = self.stream.receive(self.seconds)
                if not received:
                    raise EOFError("the tunnel was ended") from None
                self._in.write(received)

    def _flush(self):
        if self._out.pending:
            self.stream.send(self._out.read())

    def sendall(self, content):
        self._until_done(self._tls.write, content)

    def recv(self, count):
        try:
            return self._until_done(self._tls.read, count)
        except ssl.SSLZeroReturnError:
            return b""

    def settimeout(self, seconds):
        self.seconds = seconds

    def close(self):
        self.stream.close()


class Tunnel(Wire):
    """The qi protocol through a tunnel."""

    def __init__(self, stream, key):
        self.stream = stream
        self.socket = Encrypted(stream, key)
        self.ids = itertools.count(2)
        self.events = []
        self._buffer = b""

    def log_in_as(self, own, other):
        names = {"auth_qimesh_from": dynamic("s", text(own)), "auth_qimesh_to": dynamic("s", text(other))}
        self.socket.sendall(login(**names))
        return self.answer(1)
