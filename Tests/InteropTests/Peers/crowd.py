#!/usr/bin/env python3
"""Many clients on unmodified `qi`, each with a session, a proxy and a subscription of its own, that never connect again.

    crowd.py --url tcps://10.0.0.5:9503 [--count 50] [--service Peer] [--user NAME --token-file FILE]

Prints {"ready": COUNT} once all have subscribed to `spoken`. Then every line on stdin is a question, answered by one line of JSON:

    heard TEXT [SECONDS]   waits until everybody has heard TEXT: {"heard": how many, "twice": how many more than once}
    call TEXT              everybody calls echo_string: {"ok": how many, "errors": [one example of each error]}
    state                  {"connected": how many still are, "lost": how many sessions have said that they are not, "endpoints": [...],
                           "services": [...]} of what the first one lists
    state_of_sessions      the first two of these alone

Ends when stdin closes.
"""
import argparse
import json
import sys
import threading
import time

from common import add_login, finish, new_session, say


class Member:
    """One client of the crowd."""

    def __init__(self, given, changed):
        self.changed, self.heard, self.lost = changed, [], 0
        self.session = new_session(given)
        self.session.connect(given.url)
        self.session.disconnected.connect(self.on_lost)
        self.service = self.session.service(given.service)
        self.link = self.service.spoken.connect(self.on_spoken)

    def on_spoken(self, text):
        with self.changed:
            self.heard.append(text)
            self.changed.notify_all()

    def on_lost(self, *_):
        with self.changed:
            self.lost += 1


class Crowd:
    def __init__(self, given):
        self.changed = threading.Condition()
        self.members, failures = [], []

        # A few at a time: libqi has few threads, and a door does not wait for ever for a login.
        turn = threading.Semaphore(4)

        def join():
            try:
                with turn:
                    member = Member(given, self.changed)
                with self.changed:
                    self.members.append(member)
            except Exception as error:
                failures.append(str(error))

        threads = [threading.Thread(target=join) for _ in range(given.count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        if len(self.members) != given.count:
            raise RuntimeError("%d of %d connected: %s" % (len(self.members), given.count, failures[:3]))

    def ask_heard(self, text, seconds="20"):
        with self.changed:
            def everybody():
                return all(text in member.heard for member in self.members)
            self.changed.wait_for(everybody, float(seconds))
            times = [member.heard.count(text) for member in self.members]
        return {"heard": sum(1 for count in times if count), "twice": sum(1 for count in times if count > 1)}

    def ask_call(self, text):
        futures = [member.service.echo_string(text, _async=True) for member in self.members]
        good, errors = 0, set()
        end = time.monotonic() + 20
        for future in futures:
            try:
                good += future.value(int(max(0.1, end - time.monotonic()) * 1000)) == text
            except Exception as error:
                errors.add(str(error))
        return {"ok": good, "errors": sorted(errors)}

    def ask_state_of_sessions(self):
        with self.changed:
            lost = sum(member.lost for member in self.members)
        return {"connected": sum(1 for member in self.members if member.session.isConnected()), "lost": lost}

    def ask_state(self):
        infos = self.members[0].session.services()
        endpoints = {url for info in infos for url in info["endpoints"]}
        return {**self.ask_state_of_sessions(), "endpoints": sorted(endpoints), "services": sorted(info["name"] for info in infos)}


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--url", required=True)
    options.add_argument("--service", default="Peer")
    options.add_argument("--count", type=int, default=50)
    options.add_argument("--leash", action="store_true", help="as always: ends when stdin closes")
    add_login(options)
    given = options.parse_args()
    try:
        crowd = Crowd(given)
    except Exception as error:
        print("no crowd: %s" % error, file=sys.stderr)
        finish(2)
    say(json.dumps({"ready": len(crowd.members)}))
    for line in sys.stdin:
        question, *arguments = line.split()
        say(json.dumps(getattr(crowd, "ask_" + question)(*arguments)))
    finish(0)


if __name__ == "__main__":
    main()
