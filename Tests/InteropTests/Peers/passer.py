#!/usr/bin/env python3
"""Passes objects, as a service or as its client, and counts those of its own that live; unmodified `qi`.

    passer.py serve --url tcp://127.0.0.1:9559 [--name Keeper]
    passer.py use --url tcp://127.0.0.1:9559 [--service pepper/Keeper]

Reads one JSON document per line, {"do": "keep", "arguments": [3]}, which names a method of Server or of User below. Writes one JSON
document per line: {"answer": …} or {"error": "…"} for each of these, in their order, and first of all {"answer": "ready"}. Ends when
standard input closes.
"""
import argparse
import gc
import json
import sys
import threading
import time
import weakref

import qi

from common import finish, say

PATIENCE = 30  # seconds
OWN = []  # weak references to the objects that this process has made to be passed


def wait(condition):
    """Whether that holds within `PATIENCE`."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            return False
        threading.Event().wait(0.05)
    return True


@qi.multiThreaded()
class Thing:
    """What is passed: has a method, a signal and a property, and takes objects itself."""

    def __init__(self, name):
        self.name_ = name
        self.told = qi.Signal("(s)")
        self.mood = qi.Property("s")
        self.mood.setValue("calm")
        OWN.append(weakref.ref(self))

    @qi.bind("s", ["s"], "called")
    def called(self, text):
        return "%s called with %s" % (self.name_, text)

    @qi.bind("v", ["s"], "tell")
    def tell(self, text):
        self.told(text)

    @qi.bind("s", ["o"], "take")
    def take(self, other):
        return "%s took: %s" % (self.name_, other.called("take"))

    @qi.bind("o", ["s"], "make")
    def make(self, name):
        return Thing(self.name_ + "/" + name)


def alive():
    gc.collect()
    return sum(1 for reference in OWN if reference() is not None)


@qi.multiThreaded()
class Keeper:
    """The service: keeps what it is given, and uses it when it is told to."""

    def __init__(self):
        self.made = qi.Signal("(o)")
        self.shown = qi.Property("m")
        self._lock = threading.Lock()
        self._kept = []
        self._heard = []
        self.made.connect(lambda thing: self.note(thing.called("event")))

    def note(self, text):
        with self._lock:
            self._heard.append(text)

    @qi.bind("i", ["o"], "keep")
    def keep(self, thing):
        with self._lock:
            self._kept.append(thing)
            return len(self._kept)

    @qi.bind("i", [], "kept")
    def kept(self):
        with self._lock:
            return len(self._kept)

    @qi.bind("v", [], "drop")
    def drop(self):
        with self._lock:
            self._kept = []
        gc.collect()

    @qi.bind("[s]", ["s"], "ask")
    def ask(self, text):
        """What all that is kept answers; errors in words."""
        answers = []
        with self._lock:
            kept = list(self._kept)
        for thing in kept:
            try:
                answers.append(thing.called(text))
            except Exception as error:
                answers.append("error: %s" % error)
        return answers

    @qi.bind("s", ["o"], "give")
    def give(self, thing):
        """Passes an object of its own to what it was passed."""
        return thing.take(Thing("own"))

    @qi.bind("s", ["o"], "fetch")
    def fetch(self, thing):
        """Uses an object that an object returned that it was passed."""
        return thing.make("child").called("fetch")

    @qi.bind("[s]", ["o"], "follow")
    def follow(self, thing):
        """Subscribes to a signal of what it was passed, reads and sets its property, and answers what it heard."""
        heard = []
        link = thing.told.connect(heard.append)
        for text in ("one", "two", "three"):
            thing.tell(text)
        wait(lambda: len(heard) == 3)
        thing.told.disconnect(link)
        thing.mood.setValue(thing.mood.value() + "er")
        return sorted(heard) + [thing.mood.value()]

    @qi.bind("[s]", ["m"], "nested")
    def nested(self, values):
        return [values["list"][0].called("list"), values["list"][1]["deep"].called("deep"), values["pair"][1].called("pair")]

    @qi.bind("v", ["o", "s"], "refuse")
    def refuse(self, _thing, text):
        raise RuntimeError(text)

    @qi.bind("[s]", [], "heard")
    def heard(self):
        with self._lock:
            return list(self._heard)


class Server:
    def __init__(self, session, name):
        self.session, self.keeper = session, Keeper()
        session.registerService(name, self.keeper)

    def alive(self, wanted):
        return alive() if wait(lambda: alive() == wanted) else "still %d" % alive()

    def kept(self):
        return self.keeper.kept()

    def ask(self, text):
        return self.keeper.ask(text)

    def drop(self):
        self.keeper.drop()

    def announce(self, name):
        """Raises the signal with an object of its own."""
        self.keeper.made(Thing(name))

    def show(self, name):
        """Puts an object of its own into the property."""
        self.keeper.shown.setValue(Thing(name))


class User:
    def __init__(self, session, service):
        self.session, self.service = session, session.service(service)
        self.events, self.held = [], []

    alive = Server.alive

    def keep(self, count):
        return [self.service.keep(Thing("thing %d" % number)) for number in range(count)]

    def call(self, method, *arguments):
        return self.service.call(method, *arguments)

    def passing(self, method, *arguments):
        """Calls a method with an object of its own, and what else it takes."""
        return self.service.call(method, Thing("thing"), *arguments)

    def nested(self):
        return self.service.nested({"list": [Thing("a"), {"deep": Thing("b")}], "pair": [1, Thing("c")]})

    def emit(self, name):
        """Raises the service's signal with an object of its own; answers what the service heard of it."""
        self.service.made(Thing(name))
        wait(lambda: any(name in text for text in self.service.heard()))
        return self.service.heard()

    def listen(self):
        self.service.made.connect(lambda thing: self.events.append(thing.called("listener")))

    def heard(self, count):
        return self.events if wait(lambda: len(self.events) >= count) else "only %s" % self.events

    def set(self, name):
        self.service.shown.setValue(Thing(name))

    def get(self):
        return self.service.shown.value().called("property")


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("role", choices=("serve", "use"))
    options.add_argument("--url", required=True, help="the service directory")
    options.add_argument("--name", default="Keeper", help="of the service that is hosted")
    options.add_argument("--service", default="pepper/Keeper", help="the service that is used")
    given = options.parse_args()
    session = qi.Session()
    session.connect(given.url)
    part = Server(session, given.name) if given.role == "serve" else User(session, given.service)
    say(json.dumps({"answer": "ready"}))
    for line in sys.stdin:
        request = json.loads(line)
        try:
            say(json.dumps({"answer": getattr(part, request["do"])(*request.get("arguments", []))}))
        except Exception as error:  # the binding raises what it likes: RuntimeError, AttributeError, TypeError
            say(json.dumps({"error": str(error)}))
    finish(0)


if __name__ == "__main__":
    main()
