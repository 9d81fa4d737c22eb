#!/usr/bin/env python3
"""Many callers of one service, each with a session of its own, in unmodified `qi`: told nothing but the directory next door and a name.

    load.py tcp://127.0.0.1:9559 vision/Detector CALLERS

Every caller calls `detect` and `learn` in turn until stdin ends, or says anything. Prints {"calling": CALLERS} when each has had an answer,
and at the end

    {"answered": {INSTANCE: calls}, "learned": [ids that were answered], "failed": {text of the error: [ids of learn]},
     "lost": {text of the error: [ids of detect]}, "hung": calls that had no answer in time, "slowest": seconds}
"""
import collections
import json
import os
import sys
import threading
import time

import qi

PATIENCE = 60  # seconds, for an answer of whatever kind


class Load:
    def __init__(self, url, name):
        self.url, self.name, self.stop, self.lock = url, name, threading.Event(), threading.Lock()
        self.answered, self.learned, self.threads = collections.Counter(), [], []
        self.failed, self.lost = collections.defaultdict(list), collections.defaultdict(list)
        self.hung, self.slowest, self.calling = 0, 0.0, 0

    def add(self, count):
        for _ in range(count):
            self.threads.append(threading.Thread(target=self.call, args=(len(self.threads),), daemon=True))
            self.threads[-1].start()

    def call(self, caller):
        session = qi.Session()
        session.connect(self.url)
        service, number = session.service(self.name), 0
        while not self.stop.is_set():
            number += 1
            self.once(service, "learn" if number % 2 else "detect", "%d-%d-%d" % (os.getpid(), caller, number))
            if number == 1:
                with self.lock:
                    self.calling += 1
        session.close()

    def once(self, service, method, id):
        begin, future = time.monotonic(), getattr(service, method)(id, _async=True)
        state = future.wait(PATIENCE * 1000)
        with self.lock:
            self.slowest = max(self.slowest, time.monotonic() - begin)
            if state == qi.FutureState.Running:
                self.hung += 1
            elif future.hasError():
                (self.failed if method == "learn" else self.lost)[future.error()].append(id)
            else:
                self.answered[future.value()] += 1
                if method == "learn":
                    self.learned.append(id)

    def all_call(self):
        while self.calling < len(self.threads):
            self.stop.wait(0.05)
        say({"calling": self.calling})

    def result(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(PATIENCE)
        return {"answered": self.answered, "learned": self.learned, "failed": self.failed, "lost": self.lost, "hung": self.hung,
                "slowest": round(self.slowest, 2)}


def say(value):
    out.write(json.dumps(value) + "\n")
    out.flush()


# libqi logs to stdout.
out = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)
load = Load(*sys.argv[1:3])
load.add(int(sys.argv[3]))
load.all_call()
sys.stdin.readline()
say(load.result())
os._exit(0)  # libqi's threads take their time to end, and nothing is left to do
