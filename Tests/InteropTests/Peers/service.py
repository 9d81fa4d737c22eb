#!/usr/bin/env python3
"""Hosts the test service on real libqi.

    service.py --url tcp://127.0.0.1:9559 [--name Peer] [--listen tcp://127.0.0.1:0] [--leash] [--orderly]

Prints `ready` once the directory lists it. Members (signatures in libqi's letters):

    echo_TYPE (x)x     one for every row of common.TYPES          size (r)I, bytes_of (I)r     payloads
    concat (sis)s      several arguments                          over (i)s, (s)s, (ii)s       overloads
    untyped, variadic  what Python gives without @qi.bind         nothing ()v                  no result
    fail (s)v          raises RuntimeError with that text         slow (d)s                    answers after so many seconds
    spoken: s, moved: (is)   raised by say (s)v, move (is)v, burst (i)v
    volume: i, title: s      properties                           recall (o s)s                calls back `called` of the object
    counter (i)o       an object with add (i)i, total: i, passed: i
    endless ()s        never answers, but can be cancelled: waiting ()i such calls are there, cancelled ()i there were
    pid ()i
"""
import argparse
import os
import threading

import qi

from common import TYPES, say, stay


@qi.multiThreaded()
class Counter:
    """Returned by `counter`: has a method, a signal and a property of its own."""

    def __init__(self, start):
        self._lock = threading.Lock()
        self._value = start
        self.total = qi.Property("i")
        self.total.setValue(start)
        self.passed = qi.Signal("(i)")

    @qi.bind("i", ["i"], "add")
    def add(self, step):
        with self._lock:
            self._value += step
            value = self._value
        self.total.setValue(value)
        self.passed(value)
        return value


@qi.multiThreaded()
class Peer:
    def __init__(self):
        self.spoken = qi.Signal("(s)")
        self.moved = qi.Signal("(is)")
        self.volume = qi.Property("i")
        self.volume.setValue(50)
        self.title = qi.Property("s")
        self.title.setValue("peer")
        self._lock = threading.Lock()
        self._cancelled = 0
        self._promises = {}

    @qi.bind("s", ["s", "i", "s"], "concat")
    def concat(self, left, number, right):
        return "%s%d%s" % (left, number, right)

    @qi.bind("s", ["i"], "over")
    def over_int(self, _value):
        return "int"

    @qi.bind("s", ["s"], "over")
    def over_string(self, _value):
        return "string"

    @qi.bind("s", ["i", "i"], "over")
    def over_ints(self, _first, _second):
        return "two ints"

    def untyped(self, first, second):
        return [first, second]

    def variadic(self, *values):
        return list(values)

    @qi.bind("v", [], "nothing")
    def nothing(self):
        return None

    @qi.bind("I", ["r"], "size")
    def size(self, data):
        return len(data)

    @qi.bind("r", ["I"], "bytes_of")
    def bytes_of(self, count):
        return bytearray((i & 0xFF for i in range(256))) * (count // 256) + bytearray(count % 256)

    @qi.bind("v", ["s"], "fail")
    def fail(self, text):
        raise RuntimeError(text)

    @qi.bind("s", ["d"], "slow")
    def slow(self, seconds):
        # The time is what this method is for: a robot's moveTo takes as long.
        threading.Event().wait(seconds)
        return "after %g s" % seconds

    @qi.bind("s", [], "endless")
    def endless(self):
        token = object()

        def on_cancel(promise):
            with self._lock:
                self._cancelled += 1
                self._promises.pop(token, None)
            promise.setCanceled()

        promise = qi.Promise(on_cancel)
        # Nobody else keeps it while it is waited for.
        with self._lock:
            self._promises[token] = promise
        return promise.future()

    @qi.bind("i", [], "waiting")
    def waiting(self):
        with self._lock:
            return len(self._promises)

    @qi.bind("i", [], "cancelled")
    def cancelled(self):
        with self._lock:
            return self._cancelled

    @qi.bind("v", ["s"], "say")
    def say(self, text):
        self.spoken(text)

    @qi.bind("v", ["i", "s"], "move")
    def move(self, steps, where):
        self.moved(steps, where)

    @qi.bind("v", ["i"], "burst")
    def burst(self, count):
        for number in range(count):
            self.spoken("burst %d" % number)

    @qi.bind("o", ["i"], "counter")
    def counter(self, start):
        return Counter(start)

    @qi.bind("s", ["o", "s"], "recall")
    def recall(self, other, text):
        return other.called(text)

    @qi.bind("i", [], "pid")
    def pid(self):
        return os.getpid()


def add_echoes(cls):
    for suffix, signature, _values in TYPES:
        name = "echo_" + suffix
        setattr(cls, name, qi.bind(signature, [signature], name)(lambda self, value: value))


add_echoes(Peer)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--url", required=True, help="the service directory")
    options.add_argument("--name", action="append", help="service name, may be repeated (default: Peer)")
    options.add_argument("--listen", help="endpoint to host on (default: libqi's own choice)")
    options.add_argument("--leash", action="store_true", help="end when stdin closes")
    options.add_argument("--orderly", action="store_true", help="unregister at the end, and do not just end")
    given = options.parse_args()

    session = qi.Session()
    session.connect(given.url)
    if given.listen:
        session.listen(given.listen)
    peers, ids = [], []
    for name in given.name or ["Peer"]:
        peers.append(Peer())
        ids.append(session.registerService(name, peers[-1]))
    say("ready")

    def unregister():
        # libqi tells its directory nothing when a session closes.
        for number in ids if given.orderly else []:
            session.unregisterService(number)

    stay(given.leash, unregister)


if __name__ == "__main__":
    main()
