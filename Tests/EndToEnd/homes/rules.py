"""The rules that are in force at all doors alike, and a table of what they say: `ROWS`."""
import itertools

from .frames import Refused

NUMBERS = itertools.count(1)
ARGUMENTS = {"concat": ("a", 7, "b"), "echo_string": ("x",), "say": ("x",), "burst": (1,), "fail": ("reached",), "move": (1, "x")}
RESULTS = {"concat": "a7b", "echo_string": "x", "say": None, "burst": None, "move": None}


def rules_for(key):
    """The rules by name, in their order, for whoever is called desk or has that key."""
    anybody = "group:desk"
    return {
        # By its limit what no other rule decides is counted: looking up, and learning what there is.
        "looking up": {"who": anybody, "allow": ["ServiceDirectory.*"], "limit": {"calls": "1000/s"}},
        "of others": {"who": ["mallory@mesh.test", "user:else", "cert:" + "0" * 64, "zone:lan"], "deny": ["*"]},
        "first": {"who": anybody, "deny": ["Order.concat"]},
        "second": {"who": anybody, "allow": ["Order.concat", "Order.echo_string"]},
        "third": {"who": anybody, "deny": ["Order.*"]},
        "fourth": {"who": anybody, "allow": ["Order.*"]},
        "mixed": {"who": anybody, "allow": ["Mixed.*"], "deny": ["Mixed.fail"]},
        "kinds": {"who": anybody, "call": ["Kinds.concat", "Kinds.say"], "subscribe": ["Kinds.spoken"], "read": ["Kinds.volume"],
                  "write": ["Kinds.title"], "emit": ["Kinds.moved"], "register": ["Vision*"]},
        "keyed": {"who": ["cert:" + key, "user:desk*"], "allow": ["Keyed.*"]},
        "named": {"who": ["desk@mesh.test", "cert:" + key, "user:desk*"], "allow": ["Named.*"]},
        "rare": {"who": anybody, "allow": ["Rare.*"], "limit": {"calls": "3/h"}},
        "small": {"who": anybody, "allow": ["Small.*"], "limit": {"payload": "1kB"}},
        "past": {"who": anybody, "allow": ["Past.*"], "expires": "2020-01-01"},
        "later": {"who": anybody, "allow": ["Later.*"], "expires": "2099-01-01T12:00:00Z"},
        "live": {"who": anybody, "allow": ["Live.*"]},
    }


def policy(key, rules):
    """These rules as a file has them."""
    groups = {"desk": ["desk@mesh.test", "cert:" + key, "user:desk", "user:desk-libqi"]}
    return {"groups": groups, "rules": list(rules.values()), "audit": {"calls": "all"}}


def number_of(rule):
    return None if rule is None else 1 + list(rules_for("0" * 64)).index(rule)


# --- kinds of access: each does one, and shows that it was done; or raises, and nothing was done


def do_call(door, service, member):
    assert door.caller.call(service, member, *ARGUMENTS[member]) == RESULTS[member]


def do_post(door, service, member):
    said = "post-%d" % next(NUMBERS)
    door.caller.post(service, member, *(said if value == "x" else value for value in ARGUMENTS[member]))
    return said


def do_subscribe(door, service, signal):
    door.caller.listen(service, signal)
    said = "event-%d" % next(NUMBERS)
    door.world.inside.call(service, "say", said)
    assert door.caller.hear(said)


def do_read(door, service, name):
    assert door.caller.read(service, name) == door.world.inside.read(service, name)


def do_write(door, service, name):
    value = "title-%d" % next(NUMBERS) if name == "title" else next(NUMBERS)
    before = door.world.inside.read(service, name)
    try:
        door.caller.write(service, name, value)
    except Refused:
        assert door.world.inside.read(service, name) == before
        raise
    assert door.world.inside.read(service, name) == value


def do_emit(door, service, signal):
    said = "emitted-%d" % next(NUMBERS)
    door.caller.emit(service, signal, *((1, said) if signal == "moved" else (said,)))
    return said


ACTS = {name[3:]: act for name, act in globals().items() if name.startswith("do_")}
# What a policy calls it, and an error.
ACCESS = {"post": "call"}
PHRASE = {"subscribe": "subscribe to"}

ROWS = [
    ("call", "Kinds.concat", True, "kinds"), ("call", "Kinds.burst", False, None),
    ("post", "Kinds.say", True, "kinds"), ("post", "Kinds.move", False, None),
    ("subscribe", "Kinds.spoken", True, "kinds"), ("subscribe", "Kinds.moved", False, None),
    ("read", "Kinds.volume", True, "kinds"), ("read", "Kinds.title", False, None),
    ("write", "Kinds.title", True, "kinds"), ("write", "Kinds.volume", False, None),
    ("emit", "Kinds.moved", True, "kinds"), ("emit", "Kinds.spoken", False, None),
    # Inside a rule deny is read before allow, in whatever order they stand.
    ("call", "Mixed.concat", True, "mixed"), ("call", "Mixed.fail", False, "mixed"),
    # The first rule that names the caller and lists the target: not one of others, none that lists something else, no later one.
    ("call", "Order.concat", False, "first"), ("call", "Order.echo_string", True, "second"), ("call", "Order.say", False, "third"),
    # The ways of being somebody.
    ("call", "Keyed.concat", True, "keyed"), ("call", "Named.concat", True, "named"),
    ("call", "Later.concat", True, "later"),
]
