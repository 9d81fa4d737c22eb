#!/usr/bin/env python3
"""Holds the proxy of one service, with one subscription to its `spoken`, and does what standard input says; unmodified `qi`.

    holder.py --url tcp://127.0.0.1:9559 --service pepper/Peer

Reads one JSON document per line:   {"call": "concat", "arguments": ["a", 1, "b"]}   {"look-up": "pepper/Peer"}
Writes one JSON document per line:  {"answer": …} or {"error": "…"} for each of these, in their order, and unasked
{"event": "what was spoken"}, {"removed": "a name"}, and first of all {"answer": "ready"}. A look-up replaces the proxy and its
subscription. Ends when standard input closes.
"""
import argparse
import json
import sys
import threading

import qi

from common import finish, say

LOCK = threading.Lock()


def tell(**line):
    with LOCK:
        say(json.dumps(line, ensure_ascii=True))


class Holder:
    def __init__(self, url):
        self.session = qi.Session()
        self.session.connect(url)
        self.session.serviceUnregistered.connect(lambda _id, name: tell(removed=name))
        self.service = None

    def look_up(self, name):
        self.service = self.session.service(name)
        self.service.spoken.connect(lambda text: tell(event=text))
        return "ready"

    def do(self, request):
        if "look-up" in request:
            return self.look_up(request["look-up"])
        return self.service.call(request["call"], *request.get("arguments", []))


def attempt(action):
    try:
        tell(answer=action())
    except Exception as error:  # the binding raises what it likes: RuntimeError, AttributeError, TypeError
        tell(error=str(error))


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--url", required=True, help="the service directory")
    options.add_argument("--service", required=True)
    given = options.parse_args()
    holder = Holder(given.url)
    attempt(lambda: holder.look_up(given.service))
    for line in sys.stdin:
        attempt(lambda: holder.do(json.loads(line)))
    finish(0)


if __name__ == "__main__":
    main()
