#!/usr/bin/env python3
"""A host and a client on real libqi that connect again when their directory went away, as a robot's programs have to.

    returning.py host --url URL --name NAME        hosts NAME with echo (s)s; prints `ready` after every registration
    returning.py client --url URL --name NAME      calls NAME.echo_string all the time (`--method` for another); prints JSON:
                                                   {"connected": {name: id}} after the first answer of every connection
"""
import argparse
import json
import sys
import threading

import qi

from common import finish, say


class Echo:
    @qi.bind("s", ["s"], "echo_string")
    def echo_string(self, text):
        return text


def connected(url, over):
    """A new session, tried until there is one: the pause bounds how often a dead address is asked."""
    while not over.is_set():
        session = qi.Session()
        try:
            session.connect(url)
            return session
        except RuntimeError:
            over.wait(0.1)
    return None


def host(given, over):
    while not over.is_set():
        session = connected(given.url, over)
        if session is None:
            return
        lost = threading.Event()
        session.disconnected.connect(lambda *_: lost.set())
        try:
            session.registerService(given.name, Echo())
        except RuntimeError as error:
            print("not registered: %s" % error, file=sys.stderr)
            session.close()
            over.wait(0.1)
            continue
        say("ready")
        while not over.is_set() and not lost.wait(0.1) and session.isConnected():
            pass


def client(given, over):
    while not over.is_set():
        session = connected(given.url, over)
        if session is None:
            return
        try:
            # The list would not name one that is not back yet; asking for it waits.
            service = session.service(given.name)
            getattr(service, given.method)("x")
            say(json.dumps({"connected": {info["name"]: info["serviceId"] for info in session.services()}}))
            while not over.is_set():
                assert getattr(service, given.method)("x") == "x"
        except RuntimeError as error:
            print("lost: %s" % error, file=sys.stderr)
            over.wait(0.1)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("role", choices=["host", "client"])
    options.add_argument("--url", required=True, help="the service directory")
    options.add_argument("--name", required=True, help="the service")
    options.add_argument("--method", default="echo_string", help="what the client calls with a text that comes back")
    given = options.parse_args()
    over = threading.Event()
    # A leash: no peer outlives who started it.
    threading.Thread(target=lambda: (sys.stdin.buffer.read(), over.set()), daemon=True).start()
    if given.role == "host":
        host(given, over)
    else:
        client(given, over)
    finish(0)


if __name__ == "__main__":
    main()
