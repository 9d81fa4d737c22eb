#!/usr/bin/env python3
"""A robot that raises an event five times a second, and someone who listens while a bulk transfer is under way: on unmodified `qi`.

    beat.py serve --url tcp://127.0.0.1:9559 --name Beat
    beat.py listen --url tcp://127.0.0.1:9559 --name pepper/Beat --seconds 60 [--bulk 100000] [--events 5]

`listen` prints {"ready": true} when the first event is there. Then, for so many seconds, it has one bulk after the other come, sends an
echo every second, and takes the events; at the end it prints

    {"bulk": bytes that came, "echoes": [ms of each], "ages": [ms, of each event when it came], "missing": numbers of events that did
     not come, "disorder": how often one came before an earlier one, "twice": echoes that were executed more than once,
     "errors": [words]}

Ages are right only on one machine: they rest on its monotonic clock.
"""
import argparse
import collections
import json
import threading
import time

import qi

from common import add_login, finish, new_session, say, stay


class Beat:
    def __init__(self):
        self.beat = qi.Signal("(LL)")
        self.executed = collections.Counter()

    @qi.bind("s", ["s"], "echo")
    def echo(self, text):
        self.executed[text] += 1
        return text

    @qi.bind("[s]", [], "twice")
    def twice(self):
        return [text for text, count in self.executed.items() if count > 1]

    @qi.bind("r", ["I"], "bytes_of")
    def bytes_of(self, count):
        return bytearray(count)


def now():
    return time.monotonic_ns() // 1_000_000


def serve(given):
    session = new_session(given)
    session.connect(given.url)
    beat = Beat()
    session.registerService(given.name, beat)

    def raise_events():
        number, due = 0, time.monotonic()
        while True:
            beat.beat(number, now())
            number += 1
            due += 1 / given.events
            threading.Event().wait(max(0, due - time.monotonic()))

    threading.Thread(target=raise_events, daemon=True).start()
    say(json.dumps({"ready": True}))
    stay(True)


class Listener:
    def __init__(self, given):
        self.given, self.lock = given, threading.Lock()
        self.first, self.numbers, self.ages, self.echoes, self.errors = threading.Event(), [], [], [], []
        self.bulk, self.running = 0, False
        session = new_session(given)
        session.connect(given.url)
        self.session = session
        self.service = session.service(given.name)
        self.service.beat.connect(self.on_beat)

    def on_beat(self, number, raised):
        with self.lock:
            self.numbers.append(number)
            self.ages.append(now() - raised)
        self.first.set()

    def failed(self, error):
        with self.lock:
            self.errors.append(str(error))

    def fetch(self):
        """One bulk after the other."""
        while self.running:
            try:
                count = len(self.service.bytes_of(self.given.bulk))
                with self.lock:
                    self.bulk += count
            except Exception as error:  # the binding raises what it likes
                self.failed(error)
                return

    def echo(self, number):
        begun = time.monotonic()
        try:
            text = "echo %d at %d" % (number, begun)
            assert self.service.echo(text) == text
            with self.lock:
                self.echoes.append(round((time.monotonic() - begun) * 1000))
        except Exception as error:
            self.failed(error)

    def run(self):
        if not self.first.wait(30):
            raise SystemExit("no event within 30 s")
        say(json.dumps({"ready": True}))
        with self.lock:
            self.numbers, self.ages = [], []
        self.running = True
        if self.given.bulk:
            threading.Thread(target=self.fetch, daemon=True).start()
        echoes = []
        end = time.monotonic() + self.given.seconds
        while time.monotonic() < end:
            echoes.append(threading.Thread(target=self.echo, args=(len(echoes),), daemon=True))
            echoes[-1].start()
            threading.Event().wait(1)
        self.running = False
        for echo in echoes:
            echo.join(max(0, end + self.given.patience - time.monotonic()))
        twice = self.service.twice()
        with self.lock:
            late = sum(echo.is_alive() for echo in echoes)
            expected = range(self.numbers[0], self.numbers[-1] + 1) if self.numbers else []
            say(json.dumps({
                "bulk": self.bulk, "echoes": self.echoes, "ages": self.ages, "missing": sorted(set(expected) - set(self.numbers)),
                "disorder": sum(a > b for a, b in zip(self.numbers, self.numbers[1:])),
                "twice": twice, "errors": self.errors + ["%d echoes without an answer" % late] * (late > 0)}))


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("role", choices=["serve", "listen"])
    options.add_argument("--url", required=True)
    options.add_argument("--name", default="Beat")
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--bulk", type=int, default=100_000, help="bytes of one bulk; 0: none")
    options.add_argument("--patience", type=float, default=15, help="seconds after the end in which echoes may still be answered")
    options.add_argument("--events", type=float, default=5, help="events a second")
    add_login(options)
    given = options.parse_args()
    if given.role == "serve":
        serve(given)
    else:
        Listener(given).run()
    finish(0)


if __name__ == "__main__":
    main()
