"""Clients that do one thing at a time and tell what came of it: the same whichever door they come in by."""
import itertools
import json
import socket
import ssl

from .frames import EVENT, META_OBJECT, POST, SERVICE_INFO, Reader, Refused, Wire, dynamic, first_type, number, plain, service_info, text
from .home import PYTHON
from .processes import ROOT, until

SERVICE, SERVICES, REGISTER, READY = 100, 101, 102, 104
LISTEN, META, READ, WRITE = 0, 2, 5, 6
NUMBERS = itertools.count(1)


def pack(signature, values):
    """The values as a payload, for the few types that are needed here."""
    rest, packed = plain(signature)[1:-1], b""
    for value in values:
        one, rest = first_type(rest)
        packed += text(value) if one == "s" else number(one, value)
    return packed


def unpack(signature, payload):
    return list(Reader(payload).value(plain(signature)))


class ByHand:
    """What a client of libqi does, frame by frame, and what it would not: it asks for members that it is not shown. `shape` is what the
    inside knows of the services' members."""

    def __init__(self, wire, shape=None):
        self.wire, self.shape = wire, shape or {}
        self._ids, self._links = {}, itertools.count(1)

    # --- the directory

    def services(self):
        return sorted(info[0] for info in self.wire.call(action=SERVICES).value("[%s]" % SERVICE_INFO))

    def look_up(self, service):
        self._ids[service] = self.wire.call(text(service), action=SERVICE).value(SERVICE_INFO)[1]
        return self._ids[service]

    def register(self, name):
        id = self.wire.call(service_info(name), action=REGISTER).value("I")
        self.wire.call(number("I", id), action=READY)
        return id

    def id(self, service):
        return self._ids[service] if service in self._ids else self.look_up(service)

    # --- a service

    def describe(self, service):
        """`{name: (kind, uid, signature, signature of what is returned)}` as this client is shown it."""
        methods, signals, properties, _ = self.wire.call(number("I", 1), self.id(service), action=META).value(META_OBJECT)
        shape = {row[1]: ("signal", uid, row[2], None) for uid, row in signals.items()}
        shape.update({row[1]: ("property", uid, row[2], row[2]) for uid, row in properties.items()})
        shape.update({row[2]: ("method", uid, row[3], row[1]) for uid, row in methods.items()})
        return {name: row for name, row in shape.items() if row[1] >= 100}

    def members(self, service):
        return sorted(self.describe(service))

    def call(self, service, member, *arguments):
        _, uid, parameters, returned = self.shape[member]
        return self.wire.call(pack(parameters, arguments), self.id(service), action=uid).value(returned)

    def post(self, service, member, *arguments):
        _, uid, parameters, _ = self.shape[member]
        self.wire.send(POST, pack(parameters, arguments), self.id(service), action=uid)

    emit = post

    def listen(self, service, signal):
        uid = self.shape[signal][1]
        self.wire.call(number("I", 1) + number("I", uid) + number("L", next(self._links)), self.id(service), action=LISTEN)

    def heard(self):
        """The values of all events there were, for what has come before some answer."""
        rows = {uid: signature for kind, uid, signature, _ in self.shape.values() if kind == "signal"}
        return [unpack(rows[event.action], event.payload) for event in self.wire.events if event.action in rows]

    def hear(self, said):
        while not any(values[-1] == said for values in self.heard()):
            message = self.wire.next()
            if message.kind == EVENT:
                self.wire.events.append(message)
        return True

    def read(self, service, name):
        reader = Reader(self.wire.call(dynamic("s", text(name)), self.id(service), action=READ).payload)
        return reader.value("m")

    def write(self, service, name, value):
        signature = self.shape[name][2]
        key = dynamic("s", text(name))
        self.wire.call(key + dynamic(signature, pack("(%s)" % signature, [value])), self.id(service), action=WRITE)

    def lost(self):
        """Whoever has lost its connection cannot tell."""
        self.services()
        return 0

    def close(self):
        self.wire.close()


class Plain:
    """In the place of a TLS context, for `Wire`: no TLS."""

    @staticmethod
    def wrap_socket(plain_socket):
        return plain_socket


def inside(home):
    """A client on the robot's own bus."""
    wire = Wire("127.0.0.1", home.port, Plain)
    wire.log_in()
    return ByHand(wire)


def with_certificate(certificate=None, key=None):
    """A TLS context that shows a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    # With 1.3 a client learns only later that it was refused.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    if certificate:
        context.load_cert_chain(certificate, key.file)
    return context


# What it looks like when the other side ends a connection.
ENDED = (EOFError, ssl.SSLError, ConnectionError, socket.timeout)


class Stock:
    """The same on unmodified libqi: `stock.py`, in a process of its own."""

    def __init__(self, home, url, user, token_file):
        self.child = home.start("stock-%d" % next(NUMBERS), [
            PYTHON, ROOT / "Tests/EndToEnd/homes/stock.py", "--url", url, "--user", user, "--token-file", token_file])
        self._answers = 0
        first = self._answer()
        if "refused" in first:
            raise EOFError(first["refused"])

    def _answer(self):
        self._answers += 1
        return json.loads(until(lambda: self.child.lines()[self._answers - 1:], 20, lambda: "answer of " + self.child.describe())[0])

    def __getattr__(self, action):
        def act(*arguments):
            self.child.process.stdin.write((json.dumps([action, *arguments]) + "\n").encode())
            self.child.process.stdin.flush()
            answer = self._answer()
            if "error" in answer:
                raise Refused(answer["error"])
            return answer["value"]
        return act

    def close(self):
        self.child.stop()
