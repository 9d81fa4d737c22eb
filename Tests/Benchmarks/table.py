#!/usr/bin/env python3
"""The benchmark: one table, everything beside its baselines of the same run (.ci/bench builds and starts it).

    table.py --bin FOLDER --python PYTHON [--rounds 5] [--short] [--only WORD] [--json FILE]

Placement `one`: client and service on CPU 0, the length of the path. `free`: as the scheduler likes. Rounds are interleaved, figures
are medians over the rounds.
"""
import argparse
import collections
import contextlib
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import idle
import plan
import targets
from processes import Failure, Server, measure

FIELDS = ("p50", "p99", "p999", "speed", "cpu")
HERE = pathlib.Path(__file__).resolve().parent


def certificate(folder):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
         "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", folder / "key.pem", "-out",
         folder / "certificate.pem"], check=True, capture_output=True)


class Run:
    def __init__(self, options, cast, folder, stack):
        self.options, self.cast, self.folder, self.stack = options, cast, folder, stack
        self.servers = {}
        self.results = collections.defaultdict(list)

    def server(self, name, place):
        if (name, place) not in self.servers:
            own = self.folder / place
            ours = None
            if name == "gateway":
                ours = next(url for url in self.server("ours", place).ready["endpoints"] if url.startswith("tcp:"))
            command = self.cast.servers(own, ours)[name]
            self.servers[name, place] = self.stack.enter_context(Server(command, place))
        return self.servers[name, place]

    def round(self):
        for work in plan.WORKS:
            if self.options.only and self.options.only not in work.name:
                continue
            for link in work.links:
                for place in work.places:
                    for pair in self.cast.pairs(work, link):
                        self.one(work, link, place, pair)
        if not self.options.only or self.options.only in "call":
            self.in_process()

    def one(self, work, link, place, pair):
        server = self.server(pair.server, place)
        target = plan.address(pair, link, server.ready, self.folder / place)
        if target is None:
            return
        count = plan.SHORT[work.word] if self.options.short else work.counts[pair.kind]
        command = [*pair.client, target, *filter(None, [pair.service]), work.word, count, work.size, *filter(None, [pair.caller])]
        before = server.cpu_microseconds()
        result = measure(command, place)
        cpu = (server.cpu_microseconds() - before) / plan.served(work, pair, count)
        self.add(work.name, link, place, pair.who, plan.fold(work, result, cpu))

    def in_process(self):
        count = 200 if self.options.short else 100_000
        for label, service in [(label, service) for label, service, _ in plan.KINDS[:3]] + [("ours, typed", "Typed")]:
            result = measure([self.cast.benchmarks, "local", service, count])
            self.add("call", "in process", "free", label, result)
        result = measure([*self.cast.python, "local", "Strand", count // 100 + 10])
        self.add("call", "in process", "free", "libqi", result)

    def memory(self):
        """Once: a service of its own, which nobody has used."""
        count = 50 if self.options.short else 1000
        for who, name in (("ours", "ours"), ("libqi", "libqi")):
            with Server(self.cast.servers(self.folder / "memory")[name]) as server:
                url = next(endpoint for endpoint in server.ready["endpoints"] if endpoint.startswith("tcp:"))
                self.add("KB per idle connection", "tcp", "free", who, {"p50": idle.kilobytes_per_connection(server, url, count)})

    def tunnel(self):
        result = measure([self.cast.benchmarks, "tunnel", 20 if self.options.short else 1000])
        self.add("call", "tunnel", "free", "XMPP ping", result["ping"])
        self.add("call", "tunnel", "free", "ours", result["tunnel"])

    def add(self, work, link, place, who, result):
        self.results[work, link, place, who].append(result)

    def rows(self):
        for key, rounds in self.results.items():
            row = plan.Row(*key)
            for field in FIELDS:
                values = [result[field] for result in rounds if result.get(field) is not None]
                setattr(row, field, statistics.median(values) if values else None)
            yield row


def number(value, width=9):
    if value is None:
        return " " * width
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= limit:
            return f"{value / {'G': 1e9, 'M': 1e6, 'k': 1e3}[unit]:.2f}{unit}".rjust(width)
    return f"{value:.2f}".rjust(width)


def ratio(row, base):
    """How many times the baseline's: of time for a call, of speed where there is one."""
    if base is None or base is row:
        return " " * 7
    if row.speed and base.speed:
        return f"{row.speed / base.speed:7.2f}"
    return f"{row.p50 / base.p50:7.2f}" if row.p50 and base.p50 else " " * 7


def show(rows):
    rows = list(rows)
    # Everything of libqi's is compared with libqi over TCP: it has no unix sockets.
    def find(row, who, link=None):
        return next((other for other in rows if (other.work, other.link, other.place, other.who) == (row.work, link or row.link, row.place, who)), None)

    print(f"{'':24}{'link':11}{'CPUs':5}{'who':16}{'p50 us':>9}{'p99':>9}{'p99.9':>9}{'per s':>9}{'CPU us':>9}{'x C':>7}{'x libqi':>8}  targets")
    last = None
    for row in sorted(rows, key=lambda row: [order(rows, row.work), row.link, row.place]):
        if last and (last.work, last.link, last.place) != (row.work, row.link, row.place):
            print()
        last = row
        c, q = find(row, "raw C"), find(row, "libqi") or find(row, "libqi", "tcp")
        base = find(row, "XMPP ping") or c
        print(
            f"{row.work:24}{row.link:11}{row.place:5}{row.who:16}" + "".join(number(getattr(row, field)) for field in FIELDS)
            + f"{ratio(row, base)}{ratio(row, q):>8}  {targets.verdicts(row, find)}".rstrip())


    summary = targets.summary(rows, find)
    print("\nTargets, the best of our kinds for each:\n" + "\n".join(summary))


def order(rows, work):
    return list(dict.fromkeys(row.work for row in rows)).index(work)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="where Benchmarks and Baseline were built")
    parser.add_argument("--python", default=sys.executable, help="a Python that has the package qi")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--short", action="store_true", help="a handful of repetitions: shows that everything runs, not how fast")
    parser.add_argument("--only", help="works whose name has this in it, and no memory or tunnel")
    parser.add_argument("--json", type=pathlib.Path, help="also write the rows here")
    options = parser.parse_args()
    cast = plan.Cast(options.bin / "Baseline", options.bin / "Benchmarks", options.python, HERE / "libqi.py")
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="qimesh-bench-")))
        for place in ("one", "free", "memory"):
            (folder / place).mkdir()
            certificate(folder / place)
        run = Run(options, cast, folder, stack)
        for number_ in range(1 if options.short else options.rounds):
            started = time.monotonic()
            run.round()
            print(f"round {number_ + 1}: {time.monotonic() - started:.0f} s", file=sys.stderr)
        if not options.only:
            run.memory()
            run.tunnel()
        rows = list(run.rows())
    show(rows)
    if options.json:
        options.json.write_text(json.dumps([vars(row) for row in rows], indent=1))


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"error: {failure}")
