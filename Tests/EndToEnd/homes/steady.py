#!/usr/bin/env python3
"""A well-behaved client on unmodified `qi` that is measured: one session and one proxy, kept all the time.

    steady.py --url tcps://10.0.0.5:9503 --service Echo [--user NAME --token-file FILE] [--every 0.005]

Prints {"ready": true}; then for every line on stdin, which is a number of calls, makes so many and answers

    {"calls": how many were answered rightly, "errors": [one example of each error], "lost": how many times the session has ended,
     "p50": milliseconds, "p99": milliseconds, "most": milliseconds}

A call is due every few milliseconds. One that takes longer than that keeps others from being made, and is counted for each of them
with the time that it would have waited: else a stall of a second would be a single slow call among hundreds of fast ones.
"""
import argparse
import json
import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "InteropTests/Peers"))

from common import add_login, finish, new_session, say  # noqa: E402


# Seconds that a window may take: who is slowed down so much that it is not enough, has not made all its calls.
PATIENCE = 20


class Steady:
    def __init__(self, given):
        self.every, self.lost, self.clock = given.every, 0, threading.Event()
        self.session = new_session(given)
        self.session.connect(given.url)
        self.session.disconnected.connect(self.on_lost)
        self.service = self.session.service(given.service)

    def on_lost(self, *_):
        self.lost += 1

    def window(self, count):
        times, errors, right = [], set(), 0
        start = due = time.perf_counter()
        for number in range(count):
            if due > start + PATIENCE:
                break
            due = max(due + self.every, time.perf_counter())
            self.clock.wait(due - time.perf_counter())
            begun = time.perf_counter()
            try:
                right += self.service.echo_string("call %d" % number) == "call %d" % number
            except Exception as error:  # the binding raises what it likes
                errors.add(str(error))
            took = time.perf_counter() - begun
            while took > 0:
                times.append(took * 1000)
                took -= self.every
        times.sort()
        return {"calls": right, "errors": sorted(errors), "lost": self.lost, "p50": times[len(times) // 2],
                "p99": times[int(len(times) * 0.99)], "most": times[-1]}


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--url", required=True)
    options.add_argument("--service", required=True)
    options.add_argument("--every", type=float, default=0.005, help="seconds between two calls")
    add_login(options)
    steady = Steady(options.parse_args())
    say(json.dumps({"ready": True}))
    for line in sys.stdin:
        say(json.dumps(steady.window(int(line))))
    finish(0)


if __name__ == "__main__":
    main()
