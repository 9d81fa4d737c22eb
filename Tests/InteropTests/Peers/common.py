"""What the peers share: the argument types of the test service, and how a peer process lives and ends."""
import os
import signal
import sys
import threading

# One row per type of the signature grammar: method suffix, signature, values that must come back as they went.
# int64 bounds the unsigned 64-bit row too: Python's binding carries no larger int. No bytes in the dynamic rows: the binding
# hands a method the text of their Python notation.
TYPES = [
    ("bool", "b", [True, False]),
    ("int8", "c", [-128, 0, 127]),
    ("uint8", "C", [0, 255]),
    ("int16", "w", [-32768, 32767]),
    ("uint16", "W", [0, 65535]),
    ("int32", "i", [-(2**31), 2**31 - 1]),
    ("uint32", "I", [0, 2**32 - 1]),
    ("int64", "l", [-(2**63), 2**63 - 1]),
    ("uint64", "L", [0, 2**63 - 1]),
    ("float", "f", [0.0, 0.5, -1.25]),
    ("double", "d", [0.1, -1e300, 5e-324]),
    ("string", "s", ["", "plain", "two\nlines\ttab"]),
    ("raw", "r", [bytearray(), bytearray(range(256))]),
    ("ints", "[i]", [[], [1, -2, 3]]),
    ("strings", "[s]", [[], ["a", "", "\u00df"]]),
    ("map", "{si}", [{}, {"one": 1, "two": 2}]),
    ("keyed", "{i[s]}", [{}, {7: ["seven", "sept"], -1: []}]),
    ("pair", "(is)", [(1, "one")]),
    ("point", "(dds)<Point,x,y,label>", [(1.5, -2.5, "here")]),
    ("points", "[(dds)<Point,x,y,label>]", [[], [(0.0, 1.0, "a"), (2.0, 3.0, "b")]]),
    ("optional", "+i", [None, 3]),
    ("optionals", "[+s]", [["set", None, ""]]),
    ("dynamic", "m", [None, True, 1, -1, 1.5, "text", [1, "x", None], {"k": [1.5]}, (1, "t")]),
    ("dynamics", "[m]", [[], [1, "x", None, [2.5, True]]]),
    ("settings", "{sm}", [{}, {"a": 1, "b": "x", "c": [1, 2]}]),
]

UNICODE = [
    "h\u00e9llo \u4e16\u754c \U0001f600",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "e\u0301 is not \u00e9",
    "<a href=\"x\">&amp; ]]> '",
    "\u0000\u0001\u0008\u001f control characters that XML forbids \u007f\ufffe\uffff",
    "\U0010ffff",
]


def same(sent, received):
    """Equal in value; a named tuple may come back as a dict of its fields, bytes as bytearray."""
    if isinstance(received, dict) and isinstance(sent, tuple):
        return list(received.values()) == list(sent)
    if isinstance(sent, list) and isinstance(received, (list, tuple)):
        return len(sent) == len(received) and all(same(a, b) for a, b in zip(sent, received))
    if isinstance(sent, (bytes, bytearray)):
        return bytes(sent) == bytes(received)
    return type(sent) is type(received) and sent == received


class Login:
    """What libqi asks for credentials: the authenticator and, for this binding, its own factory."""

    def __init__(self, user, token):
        self._credentials = {"user": user, "token": token}

    def newAuthenticator(self):
        return self

    def initialAuthData(self):
        return self._credentials

    def _processAuth(self, _):
        return {}


def add_login(options):
    """Adds what `new_session` takes to an argument parser."""
    options.add_argument("--user", help="who to log in as")
    options.add_argument("--token-file", help="holds the token on its first line")


def new_session(given):
    """A session that logs in, if that was asked for."""
    import qi
    session = qi.Session()
    if given.user:
        with open(given.token_file, encoding="utf-8") as file:
            session.setClientAuthenticatorFactory(Login(given.user, file.readline().strip()))
    return session


# libqi logs to stdout. The lines meant for whoever started this process keep that descriptor; everything else goes to stderr.
_out = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)


def say(line):
    """One line for whoever started this process."""
    _out.write(line + "\n")
    _out.flush()


def finish(code):
    """Ends the process at once: libqi's own threads must not be able to hold it, or to crash it on the way out."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def stay(leash, at_the_end=lambda: None):
    """Serves until SIGTERM or SIGINT; with a leash also until stdin closes, so that no peer outlives who started it."""
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    if leash:
        threading.Thread(target=lambda: (sys.stdin.buffer.read(), done.set()), daemon=True).start()
    while not done.wait(0.5):  # A bounded wait, for Python runs signal handlers only between two steps of the main thread.
        pass
    at_the_end()
    finish(0)
