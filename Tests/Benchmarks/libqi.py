"""libqi, as the Python package `qi` has it: service and client of the benchmark, in the words of the others.

    libqi.py serve                                  prints "ready {…}"; ends with standard input
    libqi.py drive URL SERVICE WORK COUNT [SIZE]    prints "result {…}"; WORK: latency inflight bulk connect fanout
    libqi.py local SERVICE COUNT                    client and service in this process
"""
import json
import os
import sys
import threading
import time

import qi

PAYLOAD = "0123456789abcdef"


class Members:
    tick = qi.Signal("(s)")

    @qi.bind("s", ["s"], "echo")
    def echo(self, text):
        return text

    @qi.bind("r", ["r"], "raw")
    def raw(self, data):
        return data

    @qi.bind("v", ["I"], "burst")
    def burst(self, count):
        for _ in range(count):
            self.tick(PAYLOAD)


@qi.multiThreaded()
class MultiThreaded(Members):
    """No strand: libqi's faster kind."""


@qi.singleThreaded()
class Strand(Members):
    """What a libqi object is unless it says otherwise."""


def host():
    session = qi.Session()
    session.listenStandalone("tcp://127.0.0.1:0")
    session.registerService("Echo", MultiThreaded())
    session.registerService("Strand", Strand())
    return session


def connect(url):
    session = qi.Session()
    session.connect(url)
    return session


def report(kind, content):
    print(kind, json.dumps(content), flush=True)


def latency(count, body):
    for _ in range(max(20, count // 10)):
        body()
    samples, cpu = [], time.process_time()
    for _ in range(count):
        start = time.perf_counter()
        body()
        samples.append((time.perf_counter() - start) * 1e6)
    cpu = (time.process_time() - cpu) * 1e6 / count
    samples.sort()
    report("result", {"p50": samples[count // 2], "p99": samples[int(count * 0.99)], "p999": samples[int(count * 0.999)], "cpu": cpu})


def rate(count, body):
    start, cpu = time.perf_counter(), time.process_time()
    body()
    report("result", {"rate": count / (time.perf_counter() - start), "cpu": (time.process_time() - cpu) * 1e6 / count})


def in_flight(echo, count):
    """64 calls at any time, each answer makes the next call."""
    left, ended, lock = [count - 64, 0], threading.Event(), threading.Lock()

    def answered(_):
        with lock:
            more = left[0] > 0
            left[0] -= more
            left[1] += 1
            if left[1] == count:
                ended.set()
        if more:
            echo.echo(PAYLOAD, _async=True).addCallback(answered)

    def run():
        for _ in range(64):
            echo.echo(PAYLOAD, _async=True).addCallback(answered)
        if not ended.wait(120):
            sys.exit("libqi.py: answers are missing")

    rate(count, run)


def connecting(url, service, count):
    def once():
        session = connect(url)
        session.service(service).echo(PAYLOAD)
        session.close()

    latency(count, once)


def fan_out(url, service, events, subscribers):
    sessions = [connect(url) for _ in range(subscribers)]
    missing, lock, all_there = [0], threading.Lock(), threading.Event()

    def arrived(_):
        with lock:
            missing[0] -= 1
            if missing[0] == 0:
                all_there.set()

    proxies = [session.service(service) for session in sessions]
    for proxy in proxies:
        proxy.tick.connect(arrived)

    def run():
        for _ in range(events // 100):
            missing[0] = 100 * subscribers
            all_there.clear()
            proxies[0].burst(100)
            if not all_there.wait(120):
                sys.exit("libqi.py: events are missing")

    rate(events // 100 * 100 * subscribers, run)


def drive(url, service, work, count, size=16):
    if work == "connect":
        return connecting(url, service, count)
    if work == "fanout":
        return fan_out(url, service, count, size)
    session = connect(url)  # without it the proxy is dead
    echo = session.service(service)
    if work == "inflight":
        return in_flight(echo, max(64, count))
    data = bytes(size)
    return latency(count, {"latency": lambda: echo.echo(PAYLOAD), "bulk": lambda: echo.raw(data)}[work])


def main():
    kind, *rest = sys.argv[1:]
    if kind == "serve":
        session = host()
        report("ready", {"endpoints": [str(endpoint) for endpoint in session.endpoints()]})
        sys.stdin.read()
    elif kind == "drive":
        drive(*rest[:3], *map(int, rest[3:]))
    else:
        session = host()
        echo = session.service(rest[0])
        latency(int(rest[1]), lambda: echo.echo(PAYLOAD))


if __name__ == "__main__":
    main()
    # libqi's threads abort while Python takes its modules down.
    sys.stdout.flush()
    os._exit(0)
