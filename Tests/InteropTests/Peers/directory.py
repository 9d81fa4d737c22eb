#!/usr/bin/env python3
"""A standalone service directory on real libqi. Prints its URL, then serves.

    directory.py [--listen tcp://127.0.0.1:0] [--leash]
"""
import argparse

import qi

from common import say, stay


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--listen", default="tcp://127.0.0.1:0")
    options.add_argument("--leash", action="store_true", help="end when stdin closes")
    given = options.parse_args()

    session = qi.Session()
    session.listenStandalone(given.listen)
    say(session.endpoints()[0])
    stay(given.leash)


if __name__ == "__main__":
    main()
