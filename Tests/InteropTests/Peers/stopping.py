#!/usr/bin/env python3
"""A service whose calls are answered when it is told, and a client of it elsewhere, both on unmodified `qi`.

    stopping.py --inside tcp://127.0.0.1:9559 --url tcps://10.0.0.5:9503 [--service Held] [--user NAME --token-file FILE]

Hosts `Held` in the directory inside, looks it up where the client is, and prints {"ready": true}. Then every line on stdin is a question,
answered by one line of JSON:

    call COUNT SIZE   makes so many calls, the last with an answer of so many bytes, and waits until all are in work: {"held": how many are}
    try               one call more that is not waited for when it is in work: {"error": its text, or null}
    let go            answers them, and waits for what their caller hears: {"answered": how many, "errors": [one example of each]}
"""
import argparse
import json
import sys
import threading

import qi
from common import add_login, finish, new_session, say

PATIENCE = 40


@qi.multiThreaded()
class Held:
    def __init__(self):
        self._changed, self._promises, self._answers = threading.Condition(), [], False

    @qi.bind("s", ["i"], "hold")
    def hold(self, size):
        promise = qi.Promise()
        with self._changed:
            if self._answers:
                promise.setValue("x" * size)
            else:
                self._promises.append((promise, size))
            self._changed.notify_all()
        return promise.future()

    def wait(self, count):
        with self._changed:
            self._changed.wait_for(lambda: len(self._promises) >= count, PATIENCE)
            return len(self._promises)

    def let_go(self):
        with self._changed:
            self._answers = True
            held, self._promises = self._promises, []
        for promise, size in held:
            promise.setValue("x" * size)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--inside", required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--service", default="Held")
    add_login(parser)
    given = parser.parse_args()
    inside, held, calls, sizes = qi.Session(), Held(), [], []
    inside.connect(given.inside)
    inside.registerService("Held", held)
    outside = new_session(given)
    outside.connect(given.url)
    proxy = outside.service(given.service)
    say(json.dumps({"ready": True}))
    for line in sys.stdin:
        question, *rest = line.split()
        if question == "call":
            count, size = map(int, rest)
            sizes = [1] * (count - 1) + [size]
            calls = [proxy.hold(size, _async=True) for size in sizes]
            say(json.dumps({"held": held.wait(count)}))
        elif question == "try":
            # What is refused is so at once.
            tried = proxy.hold(1, _async=True)
            tried.wait(500)
            say(json.dumps({"error": tried.error() if tried.isFinished() and tried.hasError() else None}))
        else:
            held.let_go()
            for call in calls:
                call.wait(PATIENCE * 1000)
            answered = sum(1 for call, size in zip(calls, sizes)
                           if call.isFinished() and not call.hasError() and len(call.value()) == size)
            errors = sorted({call.error() for call in calls if call.hasError()})
            say(json.dumps({"answered": answered, "errors": errors}))
    finish(0)


main()
