#!/usr/bin/env python3
"""Holds an object of a service until its session has ended, and ends as any script does; unmodified `qi`.

    leaver.py --url tcp://127.0.0.1:9559 --service pepper/Peer [--close] [--user NAME --token-file FILE]

With `--close` the session is closed while the object is held, else the interpreter's end is the session's. Prints the object's answer.
Its exit status is the interpreter's own: a crash of libqi on the way out shows.
"""
import argparse

from common import add_login, new_session, say


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--url", required=True)
    options.add_argument("--service", default="Peer")
    options.add_argument("--close", action="store_true")
    add_login(options)
    given = options.parse_args()
    session = new_session(given)
    session.connect(given.url)
    held = session.service(given.service).counter(41)
    say(str(held.add(1)))
    if given.close:
        session.close()


if __name__ == "__main__":
    main()
