#!/usr/bin/env python3
"""Waits for a service as libqi does, then calls it; unmodified `qi`.

    waiter.py --url tcp://127.0.0.1:9559 --service pepper/Peer

Prints `waiting`, and what the service echoed once it is there.
"""
import argparse

import qi

from common import finish, say


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--url", required=True)
    options.add_argument("--service", default="Peer")
    given = options.parse_args()
    session = qi.Session()
    session.connect(given.url)
    waiting = session.waitForService(given.service, _async=True)
    say("waiting")
    waiting.value(120_000)
    say(session.service(given.service).echo_string("it is there"))
    finish(0)


if __name__ == "__main__":
    main()
