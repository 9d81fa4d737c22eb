#!/usr/bin/env python3
"""A robot of before libqi had capabilities and logins, by hand: one process that is the directory and hosts `Peer`.

    old_directory.py PORT

As libqi of 2014: a call of service 0 is answered by `can't find service, address: …`, and so is a Capability message; infos have
no uid, and no message has flags. `Peer` has echo_string (s)s, say (s)v and the signal spoken (s). Prints `ready`, and then a line for each
service that others register: {"registered": NAME, "endpoints": [...]} when it is ready, {"gone": NAME} when its connection has ended.
"""
import json
import pathlib
import socket
import struct
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from homes.frames import (  # noqa: E402
    CALL, CAPABILITY, ERROR, EVENT, META_OBJECT, POST, REPLY, Message, Reader, dynamic, frame, number, text)

INFO = "(sIsI[s]s)"
GENERIC = [(0, "registerEvent", "(IIL)", "L"), (1, "unregisterEvent", "(IIL)", "v"), (2, "metaObject", "(I)", META_OBJECT)]
DIRECTORY = GENERIC + [
    (100, "service", "(s)", INFO), (101, "services", "()", "[%s]" % INFO), (102, "registerService", "(%s)" % INFO, "I"),
    (103, "unregisterService", "(I)", "v"), (104, "serviceReady", "(I)", "v"), (108, "machineId", "()", "s")]
PEER = GENERIC + [(100, "echo_string", "(s)", "s"), (101, "say", "(s)", "v")]
SIGNALS = {1: [(106, "serviceAdded", "(Is)"), (107, "serviceRemoved", "(Is)")], 2: [(102, "spoken", "(s)")]}
MACHINE = "robot-of-2014"


def meta_object(methods, signals):
    table = number("I", len(methods))
    for id, name, parameters, returns in methods:
        table += number("I", id) * 2 + text(returns) + text(name) + text(parameters) + text("") + number("I", 0) + text("")
    table += number("I", len(signals))
    for id, name, signature in signals:
        table += number("I", id) * 2 + text(name) + text(signature)
    return table + number("I", 0) + text("")


class Robot:
    def __init__(self, port):
        self.lock = threading.Lock()
        self.endpoint = "tcp://127.0.0.1:%d" % port
        self.subscribed = []  # (client, service, signal)
        self.infos = {1: ("ServiceDirectory", [self.endpoint], None), 2: ("Peer", [self.endpoint], None)}  # id: name, endpoints, client
        self.pending, self.next = {}, 3

    def info(self, id):
        name, endpoints, _ = self.infos[id]
        places = number("I", len(endpoints)) + b"".join(map(text, endpoints))
        return text(name) + number("I", id) + text(MACHINE) + number("I", 7) + places + text("session")

    def emit(self, service, signal, payload):
        for client, wanted, id in list(self.subscribed):
            if (wanted, id) == (service, signal):
                client.send(frame(EVENT, payload, service, 1, signal, 0))

    def serve(self, client, message):
        """The payload that answers a call."""
        service, action, read = message.service, message.action, Reader(message.payload)
        if message.object != 1 or service not in (1, 2):
            raise LookupError("can't find service, address: {%d.%d.%d, id:%d}" % (service, message.object, action, message.id))
        if action == 0:
            _, signal, link = read.value("(IIL)")
            self.subscribed.append((client, service, signal))
            return number("L", link)
        if action == 1:
            signal = read.value("(IIL)")[1]
            self.subscribed.remove((client, service, signal))
            return b""
        if action == 2:
            return meta_object(DIRECTORY if service == 1 else PEER, SIGNALS[service])
        return (self.directory if service == 1 else self.peer)(client, action, read)

    def peer(self, client, action, read):
        if action not in (100, 101):
            raise LookupError("no method %d" % action)
        said = read.value("s")
        if action == 101:
            self.emit(2, 102, text(said))
        return text(said) if action == 100 else b""

    def directory(self, client, action, read):
        if action == 100:
            name = read.value("s")
            found = [id for id, info in self.infos.items() if info[0] == name]
            if not found:
                raise LookupError("Cannot find service '%s' in index" % name)
            return self.info(found[0])
        if action == 101:
            return number("I", len(self.infos)) + b"".join(self.info(id) for id in self.infos)
        if action == 102:
            name, _, _, _, endpoints, _ = read.value(INFO)
            assert not read.left, "a uid, of which this robot knows nothing"
            id, self.next = self.next, self.next + 1
            self.pending[id] = (name, endpoints, client)
            return number("I", id)
        if action == 103:
            self.remove(read.value("I"))
            return b""
        if action == 104:
            id = read.value("I")
            self.infos[id] = self.pending.pop(id)
            print(json.dumps({"registered": self.infos[id][0], "endpoints": self.infos[id][1]}), flush=True)
            self.emit(1, 106, number("I", id) + text(self.infos[id][0]))
            return b""
        if action == 108:
            return text(MACHINE)
        raise LookupError("no method %d" % action)

    def remove(self, id):
        name = self.infos.pop(id)[0]
        print(json.dumps({"gone": name}), flush=True)
        self.emit(1, 107, number("I", id) + text(name))

    def left(self, client):
        self.subscribed = [row for row in self.subscribed if row[0] is not client]
        for id in [id for id, info in self.infos.items() if info[2] is client]:
            self.remove(id)


class Client:
    def __init__(self, robot, channel):
        self.robot, self.channel = robot, channel

    def send(self, data):
        try:
            self.channel.sendall(data)
        except OSError:
            pass  # its own thread notices

    def take(self, count):
        taken = b""
        while len(taken) < count:
            more = self.channel.recv(count - len(taken))
            if not more:
                raise EOFError
            taken += more
        return taken

    def run(self):
        try:
            while True:
                header = self.take(28)
                self.handle(Message(header, self.take(struct.unpack_from("<I", header, 8)[0])))
        except (EOFError, OSError):
            with self.robot.lock:
                self.robot.left(self)

    def handle(self, message):
        assert message.flags == 0, "flags, of which this robot knows nothing"
        with self.robot.lock:
            try:
                kind, payload = REPLY, self.robot.serve(self, message)
            except LookupError as error:
                kind, payload = ERROR, dynamic("s", text(error.args[0]))
            if message.kind in (CALL, CAPABILITY):
                self.send(frame(kind, payload, message.service, message.object, message.action, message.id))
            else:
                assert message.kind == POST, "a message of kind %d" % message.kind


def main():
    robot = Robot(int(sys.argv[1]))
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    print("ready", flush=True)
    while True:
        channel, _ = listener.accept()
        threading.Thread(target=Client(robot, channel).run, daemon=True).start()


if __name__ == "__main__":
    main()
