#!/usr/bin/env python3
"""Hosts many small services on real libqi, in one process as NAOqi does: `NAME0` to `NAMEn`, each with answer ()i, its number.

    many.py --url tcp://127.0.0.1:9559 [--name Many] [--count 100] [--leash]

Prints `ready` once the directory lists all.
"""
import argparse

import qi

from common import say, stay


class Numbered:
    def __init__(self, number):
        self._number = number

    @qi.bind("i", [], "answer")
    def answer(self):
        return self._number


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--url", required=True)
    options.add_argument("--name", default="Many")
    options.add_argument("--count", type=int, default=100)
    options.add_argument("--leash", action="store_true", help="end when stdin closes")
    given = options.parse_args()

    session = qi.Session()
    session.connect(given.url)
    session.listen("tcp://127.0.0.1:0")
    services = [Numbered(number) for number in range(given.count)]
    for number, service in enumerate(services):
        session.registerService("%s%d" % (given.name, number), service)
    say("ready")
    stay(given.leash)


if __name__ == "__main__":
    main()
