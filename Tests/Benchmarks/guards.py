#!/usr/bin/env python3
"""What must hold on every machine, however slow: ends 1 when a bound is broken (.ci/guards builds and starts it).

    guards.py --bin FOLDER --configuration debug --counter LIBRARY
"""
import argparse
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import threading

from processes import Failure, Server
from qi_client import Client, string

# Bursts of 64 calls.
CALLS = 64
# System calls per burst and side. The path is epoll_wait, read, write; one more for what comes now and then.
SYSTEM_CALLS = 4.0
# Heap allocations per call in the serving process, by configuration, for a method that never suspends: the text of the argument.
# Measured: 1.0.
ALLOCATIONS = {"release": 1.5, "debug": 1.5}
# Instructions per call in the serving process, kernel not counted, as callgrind counts them: the same on every machine for one compiler.
# Of what ships only: valgrind cannot load the libraries of the compiler, which a debug build is linked to. By service: a method that never
# suspends, one in a task of the loop, one of dynamic values off the loop. Measured: 3180, 7170, 14930.
INSTRUCTIONS = {"release": {"Direct": 3400, "DirectAsync": 7600, "Echo": 15800}}
# Actions of the service `Direct`, in the order it declares them.
ECHO, THREADS, ALLOCATIONS_SO_FAR, NOTED = 100, 103, 104, 105
PAYLOAD = string("0123456789abcdef")


class Guards:
    def __init__(self, options, folder):
        self.benchmarks, self.counter = options.bin / "Benchmarks", options.counter
        self.service, self.configuration, self.folder, self.broken = options.service, options.configuration, folder, 0

    def check(self, what, figure, bound):
        is_broken = figure > bound
        self.broken += is_broken
        print(f"{what}: {figure:.2f} (at most {bound:g}){'  BROKEN' if is_broken else ''}")

    def serve(self, prefix=(), name="socket", benchmarks=None):
        return Server([*prefix, benchmarks or self.benchmarks, "serve", "-", "-", f"unix:{self.folder / name}", "tcp://127.0.0.1:0"])

    # As with system calls below: few bursts and many, and the difference is what calls cost.

    def counted_server(self, service, bursts):
        log, plain = self.folder / "callgrind", self.folder / "plain"
        # valgrind gives up at debug information that is newer than it.
        subprocess.run(["strip", "--strip-debug", "-o", plain, self.benchmarks], check=True)
        valgrind = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", f"--log-file={log}")
        with self.serve(valgrind, name="counted", benchmarks=plain) as server:
            client = Client(server.ready["endpoints"][0])
            client.bursts(client.service(service), ECHO, PAYLOAD, bursts)
            client.close()
        return instructions_so_far(log.read_text())

    def instructions(self, service, bound, few=20, many=120):
        per_call = (self.counted_server(service, many) - self.counted_server(service, few)) / ((many - few) * CALLS)
        self.check(f"instructions per call in the service {service}", per_call, bound)

    # A process's system calls are counted twice, with few bursts and with many: the difference is what bursts cost.

    def traced_server(self, bursts):
        trace = self.folder / "trace"
        with self.serve(("strace", "-f", "-c", "-o", trace)) as server:
            client = Client(server.ready["endpoints"][0])
            client.bursts(client.service(self.service), ECHO, PAYLOAD, bursts)
            client.close()
        return total_calls(trace)

    def traced_client(self, bursts):
        trace = self.folder / "trace"
        with self.serve() as server:
            url = server.ready["endpoints"][0]
            subprocess.run(
                ["strace", "-f", "-c", "-o", trace, self.benchmarks, "drive", url, self.service, "bursts", str(bursts), "16", "loop"], check=True,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)
        return total_calls(trace)

    def system_calls(self, side, traced, few=50, many=550):
        before, after = traced(few), traced(many)
        per_burst = {name: (after[name] - before.get(name, 0)) / (many - few) for name in after}
        worst = ", ".join(f"{name} {value:.2f}" for name, value in sorted(per_burst.items(), key=lambda item: -item[1])[:4])
        self.check(f"system calls per burst of {CALLS} calls, {side} ({worst})", sum(per_burst.values()), SYSTEM_CALLS)

    def threads(self):
        with self.serve() as server:
            def use(url):
                client = Client(url)
                client.bursts(client.service(self.service), NOTED, PAYLOAD, 100)
                client.close()

            users = [threading.Thread(target=use, args=(url,)) for url in server.ready["endpoints"] * 4]
            for user in users:
                user.start()
            for user in users:
                user.join()
            client = Client(server.ready["endpoints"][0])
            count = struct.unpack("<I", client.call(client.service(self.service), THREADS))[0]
            client.close()
        if count == 0:
            raise Failure("no thread was seen: the service under test does not count them")
        self.check("threads that ran a loop-isolated service's code", count, 1)

    def allocations(self):
        environment = ("env", f"LD_PRELOAD={self.counter}")
        with self.serve(environment) as server:
            client = Client(server.ready["endpoints"][0])
            service = client.service(self.service)

            def so_far():
                return struct.unpack("<Q", client.call(service, ALLOCATIONS_SO_FAR))[0]

            client.bursts(service, ECHO, PAYLOAD, 200)
            before = so_far()
            if before == 0:
                raise Failure(f"{self.counter} is not loaded")
            client.bursts(service, ECHO, PAYLOAD, 500)
            per_call = (so_far() - before) / (500 * CALLS)
            client.close()
        self.check("heap allocations per call in the service", per_call, ALLOCATIONS[self.configuration])


def instructions_so_far(lines):
    """What callgrind prints at its end."""
    found = re.search(r"Collected : (\d+)", lines)
    if not found:
        raise Failure(f"callgrind counted nothing: {lines[-300:]}")
    return int(found.group(1))


def total_calls(trace):
    """The table that `strace -c` prints: name -> number of calls."""
    calls = {}
    for line in trace.read_text().splitlines():
        found = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)(?:\s+\d+)?\s+(\w+)$", line)
        if found and found.group(2) != "total":
            calls[found.group(2)] = int(found.group(1))
    if not calls:
        raise Failure(f"strace counted nothing: {trace.read_text()[:300]}")
    return calls


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--counter", type=pathlib.Path, required=True)
    parser.add_argument("--configuration", choices=sorted(ALLOCATIONS), required=True)
    parser.add_argument("--service", default="Direct", help="which service under test")
    options = parser.parse_args()
    os.environ["SWIFT_BACKTRACE"] = "enable=no"
    with tempfile.TemporaryDirectory(prefix="qimesh-guards-") as folder:
        guards = Guards(options, pathlib.Path(folder))
        guards.threads()
        guards.allocations()
        for service, bound in INSTRUCTIONS.get(options.configuration, {}).items():
            guards.instructions(service, bound)
        guards.system_calls("service", guards.traced_server)
        guards.system_calls("client", guards.traced_client)
    if guards.broken:
        sys.exit(f"error: {guards.broken} guard(s) broken")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"error: {failure}")
