#!/usr/bin/env python3
"""A client on unmodified `qi` that does one thing at a time, as it is told, in one session.

    stock.py --url tcps://10.0.0.5:9503 [--user NAME --token-file FILE]

Prints {"ready": true}, or {"refused": text} when it is not let in. Then for every line on stdin, which is a list of what to do and its
arguments, prints {"value": …} or {"error": text}. What it does are the methods of `Client`.
"""
import argparse
import json
import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "InteropTests/Peers"))

from common import add_login, finish, new_session, say  # noqa: E402


class Vision:
    def look(self):
        return "seen"


class Client:
    def __init__(self, given):
        self._lost, self._proxies, self._links = 0, {}, []
        self._changed, self._heard = threading.Condition(), []
        self._session = new_session(given)
        self._session.connect(given.url)
        self._session.disconnected.connect(self._on_lost)

    def _on_lost(self, *_):
        self._lost += 1

    def _proxy(self, service):
        """Kept: what is done with a service later is done with what was known of it first."""
        if service not in self._proxies:
            self._proxies[service] = self._session.service(service)
        return self._proxies[service]

    def call(self, service, member, *arguments):
        return getattr(self._proxy(service), member)(*arguments)

    def post(self, service, member, *arguments):
        getattr(self._proxy(service), member)
        self._proxy(service).post(member, *arguments)

    def emit(self, service, signal, *arguments):
        getattr(self._proxy(service), signal)(*arguments)

    def listen(self, service, signal):
        self._links.append(getattr(self._proxy(service), signal).connect(self._on_event))

    def _on_event(self, *values):
        with self._changed:
            self._heard.append(list(values))
            self._changed.notify_all()

    def heard(self):
        with self._changed:
            return self._heard

    def hear(self, text):
        """Waits for an event that ends with this text."""
        with self._changed:
            return self._changed.wait_for(lambda: any(values[-1] == text for values in self._heard), 10)

    def read(self, service, name):
        return getattr(self._proxy(service), name).value()

    def write(self, service, name, value):
        getattr(self._proxy(service), name).setValue(value)

    def register(self, name):
        return self._session.registerService(name, Vision())

    def services(self):
        return sorted(info["name"] for info in self._session.services())

    def members(self, service):
        shape = self._session.service(service).metaObject()
        return sorted({row["name"] for kind in ("methods", "signals", "properties") for id, row in shape[kind].items() if id >= 100})

    def look_up(self, service):
        self._proxies[service] = self._session.service(service)

    def lost(self):
        return self._lost


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--url", required=True)
    add_login(options)
    try:
        client = Client(options.parse_args())
    except Exception as error:  # the binding raises what it likes
        say(json.dumps({"refused": str(error)}))
        finish(2)
    say(json.dumps({"ready": True}))
    for line in sys.stdin:
        action, *arguments = json.loads(line)
        try:
            say(json.dumps({"value": getattr(client, action)(*arguments)}))
        except Exception as error:
            say(json.dumps({"error": str(error) or repr(error)}))
    finish(0)


if __name__ == "__main__":
    main()
