"""What is measured: kinds of work, the links they go over, and who takes part."""
import dataclasses

from processes import Failure


@dataclasses.dataclass(frozen=True)
class Work:
    name: str
    word: str
    links: tuple
    places: tuple
    # How many, for C, for us, for libqi: enough for half a second or so.
    counts: tuple
    size: int = 16


OFFERED = "{folder}/certificate.pem {folder}/key.pem unix:{folder}/ours tcp://127.0.0.1:0 tcps://127.0.0.1:0"
KIB, MIB = 1 << 10, 1 << 20
LINKS = ("unix", "tcp", "tls")
WORKS = [
    Work("call", "latency", LINKS, ("one",), (20_000, 10_000, 1_000)),
    Work("64 in flight", "inflight", LINKS, ("one", "free"), (1_000_000, 128_000, 6_400)),
    Work("64 KiB echo", "bulk", LINKS, ("one", "free"), (5_000, 2_000, 200), 64 * KIB),
    Work("1 MiB echo", "bulk", LINKS, ("one", "free"), (500, 300, 50), MIB),
    Work("10 MiB echo", "bulk", LINKS, ("one", "free"), (30, 20, 10), 10 * MIB),
    Work("1 subscriber", "fanout", LINKS, ("one",), (100_000, 20_000, 1_000), 1),
    Work("10 subscribers", "fanout", LINKS, ("one",), (50_000, 5_000, 300), 10),
    Work("100 subscribers", "fanout", LINKS, ("one", "free"), (5_000, 1_000, 100), 100),
    Work("connect, first call", "connect", LINKS, ("one",), (500, 200, 30)),
]
SHORT = {"latency": 20, "inflight": 128, "bulk": 2, "fanout": 100, "connect": 2}


@dataclasses.dataclass
class Row:
    """Medians of the rounds. `speed`: calls, events or bytes a second. `cpu`: microseconds of both ends for each."""
    work: str
    link: str
    place: str
    who: str
    p50: float = None
    p99: float = None
    p999: float = None
    speed: float = None
    cpu: float = None


@dataclasses.dataclass(frozen=True)
class Pair:
    """A client and a service. `kind`: whose count of repetitions is right."""
    who: str
    kind: int
    server: str
    client: tuple
    service: str = None
    caller: str = None


# Ours, by where the service runs and where its caller does. `ours`: as it comes, off the event loop at both ends. `loop`: on it at
# both, an async method in a pooled task. `immediate`: on it, a method that never suspends. `pool`: such a
# method, called from ordinary tasks.
KINDS = [("ours", "Echo", "pool"), ("ours, loop", "DirectAsync", "loop"), ("ours, immediate", "Direct", "loop"), ("ours, pool", "Direct", "pool")]


class Cast:
    """Who takes part."""

    def __init__(self, baseline, benchmarks, python, libqi):
        self.baseline, self.benchmarks = baseline, benchmarks
        self.python = (python, libqi)

    def servers(self, folder, ours=None):
        """Name -> command. One C server for each link. `ours`: the address of our directory, which the gateway presents."""
        certificate, key = folder / "certificate.pem", folder / "key.pem"
        served_by_us = [self.benchmarks, "serve", *OFFERED.format(folder=folder).split()]
        return {
            "c unix": [self.baseline, "serve", f"unix:{folder}/c"],
            "c tcp": [self.baseline, "serve", "tcp:0"],
            "c tls": [self.baseline, "serve", "tls:0", certificate, key],
            "ours": served_by_us,
            "gateway": [self.benchmarks, "gateway", ours],
            "libqi": [*self.python, "serve"],
        }

    def pairs(self, work, link):
        yield Pair("raw C", 0, f"c {link}", (self.baseline, "drive"))
        # Who connects or subscribes does so from ordinary tasks.
        for label, service, caller in KINDS if work.word in ("latency", "inflight", "bulk") else (KINDS[0], KINDS[3]):
            yield Pair(label, 1, "ours", (self.benchmarks, "drive"), service, caller)
        if link != "tcp":
            return
        if work.word in ("latency", "inflight", "bulk"):
            yield Pair("gateway -> ours", 1, "gateway", (self.benchmarks, "drive"), "DirectAsync", "loop")
        yield Pair("libqi", 2, "libqi", (*self.python, "drive"), "Echo")
        yield Pair("ours -> libqi", 2, "libqi", (self.benchmarks, "drive"), "Echo", "loop")
        yield Pair("libqi -> ours", 2, "ours", (*self.python, "drive"), "Direct")


def address(pair, link, ready, folder):
    """Where a pair's client goes; None when the service does not offer that link."""
    if pair.server.startswith("c "):
        return f"unix:{folder}/c" if link == "unix" else f"{link}:{ready['port']}"
    scheme = {"unix": "unix:", "tcp": "tcp://", "tls": "tcps://"}[link]
    return next((endpoint for endpoint in ready["endpoints"] if endpoint.startswith(scheme)), None)


def served(work, pair, count):
    """How many the server did for `count` that were measured: clients warm up first, each in its own way."""
    if work.word == "fanout":
        return count * work.size
    if work.word == "inflight":
        return count
    if pair.kind == 0:
        return count if work.word == "connect" else count + count // 10 + 20
    return count + max(20, count // 10)


def fold(work, results, server_cpu):
    """One round's result as the row's fields."""
    fields = {name: results.get(name) for name in ("p50", "p99", "p999")}
    fields["speed"] = results.get("rate")
    if work.word == "bulk":
        fields["speed"] = work.size / results["p50"] * 1e6
    fields["cpu"] = results["cpu"] + server_cpu
    if fields["p50"] is None and fields["speed"] is None:
        raise Failure(f"no figures for {work.name}: {results}")
    return fields
