"""A libqi process of the soak: comes, does something, and is killed or goes.

    guest.py service URL NAME…      registers the names, prints "ready"; takes them away again when standard input ends
    guest.py client URL SERVICE     sessions one after the other: list, call, subscribe, leave
"""
import os
import sys
import threading

import qi


class Guest:
    tick = qi.Signal("(s)")

    @qi.bind("s", ["s"], "echo")
    def echo(self, text):
        self.tick(text)
        return text


def service(url, names):
    session = qi.Session()
    session.connect(url)
    session.listen("tcp://127.0.0.1:0")
    ids = [session.registerService(name, Guest()) for name in names]
    print("ready", flush=True)
    sys.stdin.read()
    for number in ids:
        session.unregisterService(number)
    session.close()


def client(url, name):
    rounds = 0
    while True:
        session = qi.Session()
        session.connect(url)
        session.services()
        proxy = session.service(name)
        arrived = threading.Event()
        link = proxy.tick.connect(lambda _: arrived.set())
        for number in range(20):
            assert proxy.echo("%d" % number) == "%d" % number
        assert arrived.wait(10), "no event"
        proxy.tick.disconnect(link)
        # Every other session leaves without a word.
        if rounds % 2:
            session.close()
        rounds += 1
        print("round", rounds, flush=True)


if __name__ == "__main__":
    kind, url, *names = sys.argv[1:]
    if kind == "service":
        service(url, names)
    else:
        client(url, names[0])
    sys.stdout.flush()
    os._exit(0)  # libqi's threads abort while Python takes its modules down
