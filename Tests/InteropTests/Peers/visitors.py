#!/usr/bin/env python3
"""A client of unmodified `qi` among services that come and go: calls one that stays, and meets every one that comes.

    visitors.py --url tcp://127.0.0.1:9559 --count 100 [--steady Peer] [--deadline 60]

Prints {"name": "watching"} once it listens to the directory; then greets every service named Guest… (greet (s)s) and lets it go (leave
()v). Ends when `count` of them have come and gone, with one JSON line per check as client.py does.
"""
import argparse
import sys
import threading
import time

import qi

from client import expect, report, shown
from common import finish


class Crowd:
    """What the directory told, and what became of every guest. Callbacks come on threads of libqi's own."""

    def __init__(self, session, count):
        self._session, self._count = session, count
        self._changed = threading.Condition()
        self.came, self.went, self.met, self.missed = set(), set(), set(), {}

    def registered(self, _id, name):
        if not name.startswith("Guest"):
            return
        with self._changed:
            self.came.add(name)
        # Not here: a look-up would wait on the thread that has to bring its answer.
        self._session.service(name, _async=True).then(lambda found: self._found(name, found))

    def unregistered(self, _id, name):
        with self._changed:
            if name.startswith("Guest"):
                self.went.add(name)
            self._changed.notify_all()

    def _found(self, name, found):
        if found.hasError(0):
            return self._miss(name, found.error(0))
        guest = found.value(0)
        guest.call("greet", name, _async=True).then(lambda answer: self._answered(name, guest, answer))

    def _answered(self, name, guest, answer):
        if answer.hasError(0):
            return self._miss(name, answer.error(0))
        with self._changed:
            self.met.add(name)
        guest.call("leave", _async=True)

    def _miss(self, name, error):
        with self._changed:
            self.missed[name] = error
            self._changed.notify_all()

    def is_complete(self):
        return len(self.went) >= self._count and len(self.met) + len(self.missed) >= self._count

    def wait(self, seconds):
        with self._changed:
            return self._changed.wait_for(self.is_complete, seconds)


def load(service, stop, failures, counts):
    """Calls without a pause, eight at a time."""
    number = 0
    while not stop.is_set():
        futures = [service.echo_int32(number + i, _async=True) for i in range(8)]
        for i, future in enumerate(futures):
            try:
                if future.value(30_000) != number + i:
                    failures.append("a wrong answer to %d" % (number + i))
            except Exception as error:
                failures.append(str(error))
        number += len(futures)
    counts.append(number)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--url", required=True, help="the service directory")
    options.add_argument("--steady", default="Peer", help="the service that stays")
    options.add_argument("--count", type=int, default=100, help="how many come and go")
    options.add_argument("--deadline", type=float, default=60, help="seconds all of it may take")
    options.add_argument("--leash", action="store_true", help="end when stdin closes")
    given = options.parse_args()
    if given.leash:
        threading.Thread(target=lambda: (sys.stdin.buffer.read(), finish(3)), daemon=True).start()

    start = time.monotonic()
    session = qi.Session()
    session.connect(given.url)
    steady = session.service(given.steady)
    crowd = Crowd(session, given.count)
    session.serviceRegistered.connect(crowd.registered)
    session.serviceUnregistered.connect(crowd.unregistered)
    stop, failures, counts = threading.Event(), [], []
    loads = [threading.Thread(target=load, args=(steady, stop, failures, counts), daemon=True) for _ in range(2)]
    for thread in loads:
        thread.start()
    # Both signals are subscribed to when this is answered, which comes later on the same connection.
    session.services()
    report("watching", True, start)

    complete = crowd.wait(given.deadline)
    stop.set()
    for thread in loads:
        thread.join(40)
    ok = report("all came and went", complete, start, "" if complete else "came %d, went %d, met %d, missed %s" % (
        len(crowd.came), len(crowd.went), len(crowd.met), shown(crowd.missed)))
    ok &= report("every one was met", not crowd.missed, start, shown(crowd.missed))
    ok &= report("no call failed", not failures and sum(counts) > 100, start, "%d calls, %s" % (sum(counts), shown(failures)))
    left = [info["name"] for info in session.services() if info["name"].startswith("Guest")]
    ok &= report("nobody is left", not left, start, shown(left))
    try:
        expect(steady.echo_string("after") == "after", "the service that stays")
        ok &= report("still served", True, start)
    except Exception as error:
        ok &= report("still served", False, start, str(error))
    finish(0 if ok else 1)


if __name__ == "__main__":
    main()
