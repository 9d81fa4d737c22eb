"""The qi protocol by hand, for clients that libqi would not be: frames, values and a blocking connection."""
import itertools
import socket
import ssl
import struct

MAGIC = b"\x42\xde\xad\x42"
CALL, REPLY, ERROR, POST, EVENT, CAPABILITY, CANCEL, CANCELED = range(1, 9)
SERVICE_INFO = "(sIsI[s]ss)"
META_OBJECT = "({I(Issss[(ss)]s)}{I(Iss)}{I(Iss)}s)"
NUMBERS = {"b": "?", "c": "b", "C": "B", "w": "h", "W": "H", "i": "i", "I": "I", "l": "q", "L": "Q", "f": "f", "d": "d"}
CLOSING = {"[": "]", "{": "}", "(": ")"}


def frame(kind, payload=b"", service=1, object=1, action=0, id=1, size=None, version=0, flags=0):
    """One message; `size` may lie."""
    size = len(payload) if size is None else size
    return struct.pack("<4sIIHBBIII", MAGIC, id, size, version, kind, flags, service, object, action) + payload


def text(value):
    encoded = value.encode() if isinstance(value, str) else bytes(value)
    return struct.pack("<I", len(encoded)) + encoded


def number(letter, value):
    return struct.pack("<" + NUMBERS[letter], value)


def dynamic(signature, content):
    return text(signature) + content


def login(user=None, token=None, **more):
    """What an authenticate call carries."""
    entries = {name: dynamic("b", b"\1") for name in ("ClientServerSocket", "MessageFlags", "RelativeEndpointURI")}
    if user is not None:
        entries.update(auth_user=dynamic("s", text(user)), auth_token=dynamic("s", text(token)))
    entries.update(more)
    return frame(CALL, number("I", len(entries)) + b"".join(text(k) + v for k, v in entries.items()), 0, 0, 8)


def service_info(name, endpoints=()):
    """The argument of registerService."""
    places = number("I", len(endpoints)) + b"".join(map(text, endpoints))
    return text(name) + number("I", 0) + text("") + number("I", 1) + places + text("session") + text(b"u" * 20)


def first_type(signature):
    """The first complete type of a signature, annotation left out, and what comes after it."""
    head = signature[0]
    if head in CLOSING:
        depth, end = 0, 0
        for end, letter in enumerate(signature):
            depth += (letter in "[{(") - (letter in "]})")
            if depth == 0:
                break
        return signature[:end + 1], signature[end + 1:]
    if head in "+#":
        inner, rest = first_type(signature[1:])
        return head + inner, rest
    return head, signature[1:]


def plain(signature):
    """A signature without its annotations."""
    result, depth = [], 0
    for letter in signature:
        depth += letter == "<"
        if depth == 0:
            result.append(letter)
        depth -= letter == ">"
    return "".join(result)


class Reader:
    """Decodes a payload; `self.left` is what has not been read."""

    def __init__(self, payload):
        self.left = payload

    def take(self, count):
        if count > len(self.left):
            raise ValueError("the payload ends within a value")
        taken, self.left = self.left[:count], self.left[count:]
        return taken

    def value(self, signature):
        head = signature[0]
        if head in NUMBERS:
            return struct.unpack("<" + NUMBERS[head], self.take(struct.calcsize("<" + NUMBERS[head])))[0]
        if head in "sr":
            raw = self.take(self.value("I"))
            return raw.decode(errors="replace") if head == "s" else raw
        if head == "m":
            return self.value(plain(self.value("s")))
        if head == "[":
            return [self.value(signature[1:-1]) for _ in range(self.value("I"))]
        if head == "{":
            key, value = first_type(signature[1:-1])
            return {self.value(key): self.value(value) for _ in range(self.value("I"))}
        if head == "(":
            members, rest = [], signature[1:-1]
            while rest:
                one, rest = first_type(rest)
                members.append(self.value(one))
            return tuple(members)
        if head == "+":
            return self.value(signature[1:]) if self.value("C") else None
        if head == "v":
            return None
        raise ValueError("signature %r" % signature)


class Message:
    def __init__(self, header, payload):
        _, self.id, _, _, self.kind, self.flags, self.service, self.object, self.action = struct.unpack("<4sIIHBBIII", header)
        self.payload = payload

    def value(self, signature):
        return Reader(self.payload).value("m" if self.flags & 1 else plain(signature))

    @property
    def error(self):
        return Reader(self.payload).value("m") if self.kind == ERROR else None


def any_server():
    """As libqi: no look at the certificate, TLS 1.2."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


class Refused(Exception):
    """An Error instead of an answer; its text is what the error says."""


class Wire:
    """A connection of the test's own, from the network that the test itself is on."""

    def __init__(self, host, port, context=None, seconds=10):
        plain_socket = socket.create_connection((host, port), timeout=seconds)
        self.socket = (context or any_server()).wrap_socket(plain_socket)
        self.ids = itertools.count(2)
        self.events = []
        self._buffer = b""

    def log_in(self, user=None, token=None):
        self.socket.sendall(login(user, token))
        return self.answer(1)

    def send(self, kind, payload=b"", service=1, object=1, action=0, **more):
        id = next(self.ids)
        self.socket.sendall(frame(kind, payload, service, object, action, id, **more))
        return id

    def call(self, payload=b"", service=1, object=1, action=0, **more):
        """The answer to a call, in its order or not; `Refused` for an Error, `EOFError` when the connection ends instead."""
        return self.answer(self.send(CALL, payload, service, object, action, **more))

    def answer(self, id):
        while True:
            message = self.next()
            if message.kind == EVENT:
                self.events.append(message)
            elif message.kind in (REPLY, ERROR, CANCELED) and message.id == id:
                if message.kind != REPLY:
                    raise Refused(message.error or "canceled")
                return message

    def next(self):
        header = self._read(28)
        return Message(header, self._read(struct.unpack_from("<I", header, 8)[0]))

    def _read(self, count):
        while len(self._buffer) < count:
            received = self.socket.recv(65536)
            if not received:
                raise EOFError("the connection was ended")
            self._buffer += received
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
