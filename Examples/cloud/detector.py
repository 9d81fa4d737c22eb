#!/usr/bin/env python3
"""A service of the cloud, in unmodified `qi`: every instance runs this program beside a node of its own.

    detector.py tcp://127.0.0.1:9559 INSTANCE RECORD

Writes every call that it begins to the file RECORD, one a line.
"""
import sys
import threading
import time

import qi


@qi.multiThreaded()
class Detector:
    """Stands for work that takes a moment."""

    def __init__(self, instance, record):
        self.instance, self.record, self.lock = instance, open(record, "a", encoding="utf-8"), threading.Lock()
        self.seen = qi.Signal("(s)")
        self.threshold = qi.Property("f")
        self.threshold.setValue(0.5)

    def work(self, kind, number):
        with self.lock:
            self.record.write("%s %s\n" % (kind, number))
            self.record.flush()
        time.sleep(0.01)
        return self.instance

    @qi.bind("s", ["s"], "detect")
    def detect(self, number):
        """Finds what is in a picture, and keeps nothing. [idempotent]"""
        return self.work("detect", number)

    @qi.bind("s", ["s"], "learn")
    def learn(self, number):
        """Takes a picture into the model: twice is not once."""
        return self.work("learn", number)

    @qi.bind("s", ["s"], "show")
    def show(self, text):
        """Tells all who listen to `seen`."""
        self.seen("%s: %s" % (self.instance, text))
        return self.instance


url, instance, record = sys.argv[1:]
session = qi.Session()
session.connect(url)
session.registerService("Detector", Detector(instance, record))
print("registered", file=sys.stderr, flush=True)
threading.Event().wait()
