#!/usr/bin/env python3
"""Puts a service of the shape of service.py through everything, with unmodified `qi`.

    client.py --url tcp://127.0.0.1:9559 [--service Peer] [--payload 10485760] [--calls 1000] [--slow 2]
    client.py --url … --service … --until-removed

One JSON line per check on stdout: {"name", "ok", "ms", "detail"}. Ends 0 when all are ok, 1 when one is not, 2 when the
service cannot be reached.
`--until-removed` prints {"name": "attached"} and then waits until the service goes away.
"""
import argparse
import json
import threading
import time

import qi

from common import TYPES, UNICODE, add_login, finish, new_session, same, say


class Failed(Exception):
    """A check that went wrong, in words."""


def expect(condition, detail):
    if not condition:
        raise Failed(detail)


def shown(value):
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "…"


class Events:
    """Collects what a signal brings and waits until there is enough."""

    def __init__(self):
        self._changed = threading.Condition()
        self.received = []

    def __call__(self, *arguments):
        with self._changed:
            self.received.append(arguments)
            self._changed.notify_all()

    def wait(self, count, seconds):
        with self._changed:
            self._changed.wait_for(lambda: len(self.received) >= count, seconds)
            return list(self.received)


class Battery:
    """One method per check; the name after `check_` is the name of the check, the order below is the order they run in."""

    def __init__(self, session, service, options):
        self.session, self.service, self.options = session, service, options
        self.patience = options.deadline

    # --- values

    def check_types(self):
        for suffix, signature, values in TYPES:
            for sent in values:
                received = getattr(self.service, "echo_" + suffix)(sent)
                expect(same(sent, received), "%s: sent %s, got %s" % (signature, shown(sent), shown(received)))

    def check_unicode(self):
        for text in UNICODE:
            expect(self.service.echo_string(text) == text, "string " + shown(text))
            expect(self.service.echo_dynamic({text: [text]}) == {text: [text]}, "in a map " + shown(text))

    def check_arguments(self):
        expect(self.service.concat("a", -7, "\u00df") == "a-7\u00df", "concat")
        expect(self.service.nothing() is None, "nothing")
        expect(self.service.untyped(1, "x") == [1, "x"], "untyped")
        expect(self.service.variadic(1, "x", None) == [1, "x", None], "variadic")

    def check_overloads(self):
        answers = [self.service.over(1), self.service.over("x"), self.service.over(1, 2)]
        expect(answers == ["int", "string", "two ints"], shown(answers))

    def check_payload(self):
        count = self.options.payload
        sent = bytearray(i & 0xFF for i in range(251)) * (count // 251) + bytearray(count % 251)
        expect(self.service.size(sent) == count, "size of what arrived")
        expect(bytes(self.service.echo_raw(sent)) == bytes(sent), "%d bytes there and back" % count)
        expect(len(self.service.bytes_of(count)) == count, "%d bytes back" % count)

    # --- errors

    def check_errors(self):
        text = "it went wrong: \u00e9 <&>"
        self.fails(lambda: self.service.fail(text), text)
        self.fails(lambda: self.service.call("no such method", 1), "no such method")
        self.fails(lambda: self.service.call("concat::(sis)", "only one"), "")
        expect(self.service.concat("still", 1, "here") == "still1here", "the service after the errors")

    def fails(self, action, text):
        try:
            value = action()
        except Exception as error:  # the binding raises what it likes: RuntimeError, AttributeError, TypeError
            expect(text in str(error), "error %r does not say %r" % (str(error), text))
        else:
            raise Failed("no error but %s" % shown(value))

    # --- signals and properties

    def check_signals(self):
        events = Events()
        link = self.service.spoken.connect(events)
        self.service.say("one")
        self.service.say("zwei \u00e4")
        # As a set: libqi runs callbacks on a pool of threads, in whatever order that gives.
        received = events.wait(2, self.patience)
        expect(sorted(received) == [("one",), ("zwei \u00e4",)], shown(received))
        self.service.burst(200)
        received = events.wait(202, self.patience)[2:]
        expect(sorted(received) == sorted(("burst %d" % n,) for n in range(200)), "burst: " + shown(received))
        self.service.spoken.disconnect(link)
        self.service.say("nobody listens")
        expect(self.service.echo_int32(1) == 1 and len(events.received) == 202, "an event after disconnect")

    def check_signal_arguments(self):
        events = Events()
        link = self.service.moved.connect(events)
        self.service.move(3, "left")
        expect(events.wait(1, self.patience) == [(3, "left")], shown(events.received))
        self.service.moved.disconnect(link)

    def check_two_subscribers(self):
        first, second = Events(), Events()
        links = [self.service.spoken.connect(first), self.service.spoken.connect(second)]
        self.service.say("both")
        expect(first.wait(1, self.patience) == [("both",)], "first: " + shown(first.received))
        expect(second.wait(1, self.patience) == [("both",)], "second: " + shown(second.received))
        self.service.spoken.disconnect(links[0])
        self.service.say("one")
        expect(second.wait(2, self.patience) == [("both",), ("one",)], "second alone: " + shown(second.received))
        expect(first.received == [("both",)], "first after disconnect: " + shown(first.received))
        self.service.spoken.disconnect(links[1])

    def check_properties(self):
        self.service.volume.setValue(11)
        expect(self.service.volume.value() == 11, "volume after set")
        events = Events()
        link = self.service.volume.connect(events)
        self.service.volume.setValue(12)
        expect(events.wait(1, self.patience) == [(12,)], "change of volume: " + shown(events.received))
        self.service.volume.disconnect(link)
        self.service.title.setValue("\u00fcber <&>")
        expect(self.service.title.value() == "\u00fcber <&>", "title after set")

    # --- objects

    def check_objects_returned(self):
        counter, other = self.service.counter(5), self.service.counter(100)
        events = Events()
        link = counter.passed.connect(events)
        expect([counter.add(2), counter.add(3), other.add(1)] == [7, 10, 101], "add")
        expect(sorted(events.wait(2, self.patience)) == [(7,), (10,)], "passed: " + shown(events.received))
        expect(counter.total.value() == 10 and other.total.value() == 101, "total")
        counter.passed.disconnect(link)

    def check_callbacks(self):
        class Callback:
            def called(self, text):
                return "called back with " + text

        answer = self.service.recall(Callback(), "x")
        expect(answer == "called back with x", shown(answer))

    # --- load and time

    def check_calls_in_flight(self):
        count = self.options.calls
        futures = [self.service.echo_int32(number, _async=True) for number in range(count)]
        answers = [future.value(int(self.patience * 1000)) for future in futures]
        expect(answers == list(range(count)), "%d calls" % count)

    def check_slow_call(self):
        seconds = self.options.slow
        start = time.monotonic()
        future = self.service.slow(float(seconds), _async=True)
        expect(self.service.echo_int32(3) == 3, "another call meanwhile")
        expect(not future.isFinished(), "the slow call ended early")
        answer = future.value(int((seconds + self.patience) * 1000))
        took = time.monotonic() - start
        expect(answer == "after %g s" % seconds and took >= seconds - 0.1, "%s in %.1f s" % (shown(answer), took))

    def check_cancel(self):
        before = self.service.cancelled()
        future = self.service.endless(_async=True)
        end = time.monotonic() + self.patience
        while self.service.waiting() == 0:
            expect(time.monotonic() < end and not future.isFinished(), "the call did not arrive")
        future.cancel()
        future.wait(int(self.patience * 1000))
        expect(future.isFinished() and future.isCanceled(), "the call is not cancelled: %s" % shown(future))
        expect(self.service.cancelled() == before + 1 and self.service.waiting() == 0, "the method was not cancelled")

    def check_second_session(self):
        session = new_session(self.options)
        session.connect(self.options.url)
        expect(session.service(self.options.service).echo_string("two") == "two", "through a second session")
        session.close()
        expect(self.service.echo_string("one") == "one", "the first session afterwards")

    def check_unknown_service(self):
        self.fails(lambda: self.session.service(self.options.service + "-that-is-not-there"), "")


def names():
    return [name[len("check_"):] for name in vars(Battery) if name.startswith("check_")]


def report(name, ok, start, detail=""):
    line = {"name": name, "ok": ok, "ms": round((time.monotonic() - start) * 1000, 1), "detail": detail}
    say(json.dumps(line, ensure_ascii=True))
    return ok


def run(battery, name, limit):
    """One check on a thread of its own, so that a call that never comes back is a failed check and not a hanging test."""
    start, outcome = time.monotonic(), []

    def work():
        try:
            getattr(battery, "check_" + name)()
            outcome.append("")
        except Failed as failure:
            outcome.append(str(failure))
        except Exception as error:
            outcome.append("%s: %s" % (type(error).__name__, shown(str(error))))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(limit)
    detail = outcome[0] if outcome else "no answer within %g s" % limit
    return report(name, outcome == [""], start, detail)


def until_removed(session, service, options):
    """Waits for the owner's end: the directory must say so, and calls must fail instead of hanging."""
    gone = Events()
    session.serviceUnregistered.connect(lambda _id, name: gone(name) if name == options.service else None)
    start = time.monotonic()
    expect(service.echo_int32(1) == 1, "the service before its end")
    report("attached", True, start)
    removed = bool(gone.wait(1, options.deadline))
    ok = report("removed", removed, start, "" if removed else "no serviceUnregistered for " + options.service)
    start, error = time.monotonic(), None
    try:
        service.echo_int32(2, _async=True).value(int(options.deadline * 1000))
    except Exception as raised:
        error = str(raised)
    prompt = error is not None and time.monotonic() - start < options.deadline - 0.5
    ok &= report("calls fail", prompt, start, error or "a call to a removed service was answered")
    try:
        session.service(options.service)
        ok &= report("unknown afterwards", False, start, "the name still resolves")
    except Exception as raised:
        ok &= report("unknown afterwards", True, start, str(raised))
    return ok


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--url", required=True, help="the service directory")
    options.add_argument("--service", default="Peer")
    options.add_argument("--payload", type=int, default=10 * 1024 * 1024, help="bytes")
    options.add_argument("--calls", type=int, default=1000, help="calls in flight at once")
    options.add_argument("--slow", type=float, default=2, help="seconds the slow call takes")
    options.add_argument("--deadline", type=float, default=30, help="seconds any single wait may take")
    options.add_argument("--only", action="append", choices=names(), help="run this check only (may be repeated)")
    options.add_argument("--until-removed", action="store_true")
    add_login(options)
    given = options.parse_args()

    start = time.monotonic()
    try:
        session = new_session(given)
        session.connect(given.url)
        service = session.service(given.service)
    except Exception as error:
        report("connect", False, start, str(error))
        finish(2)
    if given.until_removed:
        finish(0 if until_removed(session, service, given) else 1)
    report("connect", True, start)
    battery = Battery(session, service, given)
    limit = given.deadline * 2 + given.slow
    results = [run(battery, name, limit) for name in given.only or names()]
    finish(0 if all(results) else 1)


if __name__ == "__main__":
    main()
