#!/usr/bin/env python3
"""A hostile client of a gateway: does one kind of harm until it is told to stop.

    hostile.py KIND HOST PORT [--source ADDRESS] [--user NAME --token-file FILE] [--rate 200] [--what WORD]

Prints {"begun": true} when it is at it. On a line on stdin it stops, waits for the end of the connections that the door has to end, and
prints what became of them: {"tried": …, "ended": …, "left": …, "answers": {text without numbers: count}}.
Ends at once when stdin closes. KIND is the name of a method of `Harm` that begins with `do_`.
"""
import argparse
import asyncio
import collections
import itertools
import json
import os
import random
import re
import resource
import socket
import ssl
import struct
import sys
import time

import frames
from frames import CALL, ERROR, POST, dynamic, frame, login, number, text

# Longer than the ten seconds that the door gives anybody to say who he is.
PATIENCE = 15
# Connections held at once: more than the door lets anybody have.
MOST = 600


class Harm:
    def __init__(self, given):
        self.given, self.rate = given, given.rate
        self.source = (given.source, 0) if given.source else None
        self.stopped = asyncio.Event()
        self.held, self.tasks = 0, set()
        self.tried = self.ended = self.sent = 0
        # The answer to the last question has come.
        self.last = asyncio.Event()
        self.answers = collections.Counter()
        self.room = asyncio.Semaphore(MOST)
        self.context = frames.any_server()
        self.credentials = (None, None)
        if given.user:
            with open(given.token_file, encoding="utf-8") as file:
                self.credentials = (given.user, file.readline().strip())

    # --- connections

    async def connect(self, tls):
        self.tried += 1
        more = {"ssl": self.context, "ssl_handshake_timeout": 2 * PATIENCE} if tls else {}
        return await asyncio.open_connection(self.given.host, self.given.port, local_addr=self.source, **more)

    async def logged_in(self, buffer=None):
        """A connection that has said truly who it is."""
        self.tried += 1
        raw = socket.socket()
        if buffer:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        if self.source:
            raw.bind(self.source)
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_connect(raw, (self.given.host, self.given.port))
        reader, writer = await asyncio.open_connection(sock=raw, ssl=self.context, server_hostname="door", limit=buffer or 65536)
        writer.write(login(*self.credentials))
        kind, _ = await self.message(reader)
        if kind == ERROR:
            raise ConnectionError("not let in")
        return reader, writer

    async def message(self, reader):
        header = await reader.readexactly(28)
        payload = await reader.readexactly(struct.unpack_from("<I", header, 8)[0])
        if struct.unpack_from("<I", header, 4)[0] == 9999:
            self.last.set()
        if header[14] == ERROR:
            self.answers[re.sub("[0-9]+", "N", frames.Reader(payload).value("m"))[:160]] += 1
        elif header[14] == frames.REPLY:
            self.answers["reply"] += 1
        return header[14], payload

    async def until_ended(self, reader):
        """Reads answers until the door ends the connection."""
        while True:
            await self.message(reader)

    async def find(self, reader, writer, service, method):
        """The ids of a service and of a method of it."""
        writer.write(frame(CALL, text(service), 1, 1, 100, 2))
        _, payload = await self.message(reader)
        id = frames.Reader(payload).value(frames.SERVICE_INFO)[1]
        writer.write(frame(CALL, number("I", 0), id, 1, 2, 3))
        _, payload = await self.message(reader)
        methods = frames.Reader(payload).value(frames.META_OBJECT)[0].values()
        return id, next(row[0] for row in methods if row[2] == method)

    def hold(self, coroutine):
        """Runs what is done on one connection; it is over when the door has ended that."""
        task = asyncio.create_task(self._hold(coroutine))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _hold(self, coroutine):
        async with self.room:
            self.held += 1
            try:
                await coroutine
            except (OSError, EOFError, ssl.SSLError, asyncio.IncompleteReadError, asyncio.TimeoutError):
                self.ended += 1
            finally:
                self.held -= 1

    async def each(self, make):
        """Begins `rate` connections a second."""
        due = time.monotonic()
        while not self.stopped.is_set():
            self.hold(make())
            due = max(due + 1 / self.rate, time.monotonic() - 0.1)
            await self.pause(due - time.monotonic())

    async def pause(self, seconds):
        """Returns early when all is over."""
        try:
            await asyncio.wait_for(self.stopped.wait(), max(seconds, 0.0001))
        except asyncio.TimeoutError:
            pass

    async def drip(self, writer, content, every=0.02):
        """One byte at a time."""
        for byte in content:
            writer.write(bytes([byte]))
            await writer.drain()
            # Also after the stop: the door, not the attacker, has to end this.
            await asyncio.sleep(every)

    # --- kinds of harm

    async def do_half_open(self):
        """Connections that never begin TLS."""
        async def one():
            reader, _ = await self.connect(tls=False)
            await reader.readexactly(1)
        await self.each(one)

    async def do_unproven(self):
        """TLS, and then nothing."""
        async def one():
            reader, _ = await self.connect(tls=True)
            await reader.readexactly(1)
        await self.each(one)

    def client_hello(self):
        out = ssl.MemoryBIO()
        try:
            self.context.wrap_bio(ssl.MemoryBIO(), out).do_handshake()
        except ssl.SSLWantReadError:
            pass
        return out.read()

    async def do_slow_senders(self):
        """One byte at a time: of a TLS handshake, of a frame's header, and once logged in of an announced megabyte."""
        async def handshake():
            reader, writer = await self.connect(tls=False)
            await asyncio.gather(self.drip(writer, self.client_hello(), every=0.1), reader.readexactly(1))

        async def header():
            reader, writer = await self.connect(tls=True)
            await asyncio.gather(self.drip(writer, login("nao", "0" * 48), every=0.25), reader.readexactly(1))

        async def payload():
            reader, writer = await self.logged_in()
            writer.write(frame(CALL, b"", 2, 1, 100, 7, size=1_000_000))
            drip = asyncio.create_task(self.drip(writer, bytes(1_000_000)))
            # This one may be slow: it has said who it is, and holds no more than it has sent.
            await self.stopped.wait()
            drip.cancel()
            writer.close()
            raise EOFError
        for _ in range(20):
            for kind in (handshake, header, payload):
                self.hold(kind())
        await self.stopped.wait()

    async def do_slow_readers(self):
        """Ask for large answers, and never read one."""
        async def one():
            reader, writer = await self.logged_in(buffer=4096)
            service, action = await self.find(reader, writer, "Bulk", "bytes_of")
            writer.transport.pause_reading()
            for id in itertools.count(10):
                writer.write(frame(CALL, number("I", 500_000), service, 1, action, id))
                # Not drained: as much of it as the door takes.
                await self.pause(0.005)
                if self.stopped.is_set() or writer.transport.get_write_buffer_size() > 1_000_000:
                    break
            await self.stopped.wait()
            writer.transport.abort()
            raise EOFError
        for _ in range(2):
            self.hold(one())
        await self.stopped.wait()

    async def do_garbage(self):
        """Random bytes: instead of TLS, inside TLS, and from somebody who is logged in."""
        random.seed(4)
        kinds = [self.plain_garbage, self.tls_garbage, self.known_garbage]
        async def one():
            await kinds[self.tried % 3]()
        await self.each(one)

    async def plain_garbage(self):
        reader, writer = await self.connect(tls=False)
        writer.write(random.randbytes(random.randint(1, 4000)))
        await reader.readexactly(1_000_000)

    async def tls_garbage(self):
        reader, writer = await self.connect(tls=True)
        choice = random.randint(0, 3)
        writer.write([random.randbytes(2000), frame(CALL, b"", 0, 0, 8, size=0xFFFFFFFF), login(junk=b"\1\0\0\0("),
                      frame(CALL, number("I", 0xFFFFFFFF), 0, 0, 8)][choice])
        await self.until_ended(reader)

    async def known_garbage(self):
        reader, writer = await self.logged_in()
        deep = b"".join(dynamic("m", b"") for _ in range(5000)) + dynamic("i", number("i", 1))
        nested = dynamic("[" * 60 + "m" + "]" * 60, number("I", 0xFFFFFFFF))
        for payload in (deep, nested, dynamic("(" * 500, b""), dynamic("{", b"x"), dynamic("\xff", b""), number("I", 0xFFFFFFFF),
                        dynamic("[[[[i]]]]", number("I", 0x7FFFFFFF) * 4), random.randbytes(500)):
            for action in (2, 5, 6, 8, 100, 102):
                writer.write(frame(random.choice((CALL, CALL, POST)), payload, 1, 1, action, random.getrandbits(31)))
        for kind in range(0, 256, 5):
            writer.write(frame(kind, random.randbytes(8), 1, 1, kind, kind, flags=kind, version=kind % 3))
        writer.write(frame(CALL, b"", 1, 1, 101, 9, size=0xFFFFFFF0))
        await self.until_ended(reader)

    async def do_guess_ids(self):
        """Calls, subscriptions and properties of ids that were never given to it, and of names that are not there or hidden."""
        reader, writer = await self.logged_in()

        def guess(count):
            service, object = count % 400, (1, 1, 3, 0x80000000)[count % 4]
            if service < 2:
                return frame(CALL, text(("Secret", "Nobody%d" % count)[service]), 1, 1, 100, count)
            action, payload = (
                (100 + count % 30, b""), (0, number("I", 1) + number("I", 100) + number("L", count)),
                (5, dynamic("I", number("I", 100))), (2, number("I", 0)), (6, dynamic("I", number("I", 1)) * 2))[count % 5]
            return frame(CALL, payload, service, object, action, count)
        await self.pour(self.until_ended(reader), writer, guess)

    async def pour(self, answering, writer, make):
        """Sends what `make` makes of 1, 2, 3 … as fast as the door takes it, while answers are read."""
        answers = asyncio.create_task(answering)
        stop = asyncio.create_task(self.stopped.wait())
        for self.tried in itertools.count(1):
            writer.write(make(self.tried))
            if self.tried % 50 == 0:
                taken = asyncio.create_task(writer.drain())
                await asyncio.wait({taken, answers, stop}, return_when=asyncio.FIRST_COMPLETED)
                if answers.done() or stop.done():
                    break
        writer.transport.abort()
        # However it ended: the door has had enough, or we.
        await asyncio.wait({answers})

    async def do_register(self):
        """Registers names without end, every other one a name that it may not have."""
        reader, writer = await self.logged_in()

        async def announce():
            while True:
                kind, payload = await self.message(reader)
                if kind == frames.REPLY and len(payload) == 4:
                    writer.write(frame(CALL, payload, 1, 1, 104, 1))
        await self.pour(announce(), writer, lambda count: frame(
            CALL, frames.service_info(("Flood%d", "Foreign%d")[count % 2] % count), 1, 1, 102, count))

    async def do_guess_tokens(self):
        """Logs in as somebody whose token it does not know."""
        async def one():
            reader, writer = await self.connect(tls=True)
            writer.write(login("nao", "%048x" % random.getrandbits(192)))
            await self.until_ended(reader)
        await self.each(one)

    async def do_granted(self):
        """Calls what it may call, as fast as the door takes it: of the node itself, and every eighth time of a service."""
        async def one():
            reader, writer = await self.logged_in()
            service, action = await self.find(reader, writer, "Bulk", "echo_string")
            answering = self.until_ended(reader)
            await self.pour(answering, writer, lambda count: frame(
                CALL, text("x" * 4000), service, 1, action, count) if count % 8 == 0 else frame(CALL, b"", 1, 1, 108, count))
        for _ in range(4):
            self.hold(one())
        await self.stopped.wait()

    # --- what a megabyte costs

    async def do_megabyte(self):
        """Sends frames of the kind `what`, as costly as their bytes can be, up to a megabyte, and sees each connection to its end. Those
        of a stranger are its first; a user sends them when it is logged in, and asks for something at last."""
        # Each of its calls is answered a hundred times as long.
        most = left = 50_000 if self.given.what == "closing" else 1_000_000
        while left > 0:
            await self.pause(0)
            try:
                left -= await self.costly(left)
            except (OSError, EOFError, asyncio.IncompleteReadError):
                pass
            if self.tried > 40:
                break
        self.sent = most - left

    async def costly(self, most):
        """One connection; returns how many bytes were sent."""
        known = self.credentials[0] is not None
        reader, writer = await (self.logged_in() if known else self.connect(tls=True))
        sent, answers = 0, asyncio.create_task(self.until_ended(reader))
        contents = [b""] * 40_000 if self.given.what in ("shortest", "closing") else costly_payloads(60_000) * 8
        for number, content in enumerate(contents):
            message = costly_frame(self.given.what, content, 10 + number)
            if sent + len(message) > most or answers.done():
                break
            writer.write(message)
            sent += len(message)
            if sent % 50 == 0 or len(message) > 1000:
                await asyncio.wait({asyncio.create_task(writer.drain()), answers}, return_when=asyncio.FIRST_COMPLETED)
        if self.given.what != "closing" and not answers.done():
            # As all before is done when this is: the door has had everything then, and may have ended the connection for it.
            writer.write(frame(CALL, text("Nobody"), 1, 1, 100, 9999) if known else frame(CALL, b"", 1, 1, 100, 9999))
            await asyncio.wait({answers, asyncio.create_task(self.last.wait())}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        self.last.clear()
        writer.transport.abort()
        await asyncio.wait({answers})
        # Whatever ended it.
        answers.exception()
        return max(sent, 28)

    # --- life

    async def run(self):
        loop = asyncio.get_running_loop()
        told = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(told), sys.stdin)
        work = asyncio.create_task(getattr(self, "do_" + self.given.kind)())
        say(begun=True)
        line = asyncio.create_task(told.readline())
        await asyncio.wait({work, line}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            work.result()
        if not await line:
            os._exit(0)
        self.stopped.set()
        await work
        deadline = time.monotonic() + PATIENCE
        while self.held and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        say(tried=self.tried, ended=self.ended, left=self.held, sent=self.sent, answers=dict(self.answers.most_common(30)))
        os._exit(0)


def costly_payloads(size):
    """Dynamics whose bytes become as much as bytes can: elements of no bytes, absent and present optionals, texts and dynamics without
    content, types that are longer than their values."""
    nothing = "(" * 40 + ")" * 40
    many = number("I", size // 4)
    return [
        dynamic("[%s]" % nothing, number("I", 60_000)) + bytes(size), dynamic("[+v]", number("I", size)) + b"\1" * size,
        dynamic("[m]", many) + bytes(size), dynamic("[s]", many) + bytes(size), dynamic("[(C)]", number("I", size)) + bytes(size),
        dynamic("(%s)" % ("()" * (size // 2)), b""), dynamic("{C%s}" % nothing, number("I", size)) + bytes(size),
        *[dynamic("[%s]" % nothing, number("I", 60_000)) + bytes(20)] * 4,
    ]


def costly_frame(kind, content, id):
    """One message around such a dynamic."""
    capability = number("I", 1) + text("MessageFlags") + content
    many = number("I", 200) + b"".join(text("key %d %d" % (id, n)) + dynamic("s", text("x" * 100)) for n in range(200))
    member = number("I", 1) + number("I", 100) + number("L", id)
    return {
        "shortest": lambda: frame(CALL, b"", 1, 1, 108, id), "call": lambda: frame(CALL, content, 1, 1, 100, id), "dynamic-call": lambda: frame(CALL, content, 1, 1, 100, id, flags=1),
        "post": lambda: frame(POST, content, 1, 1, 106, id, flags=1), "event": lambda: frame(frames.EVENT, content, 1, 1, 106, id),
        "reply": lambda: frame(frames.REPLY, content, 1, 1, 100, id), "error": lambda: frame(ERROR, content, 1, 1, 100, id),
        "cancel": lambda: frame(frames.CANCEL, content, 1, 1, 100, id), "unknown": lambda: frame(77, content, 1, 1, 100, id),
        "capability": lambda: frame(frames.CAPABILITY, capability, 0, 0, 0, id),
        "keys": lambda: frame(frames.CAPABILITY, many, 0, 0, 0, id),
        "authenticate": lambda: frame(CALL, capability, 0, 0, 8, id),
        "dynamic-authenticate": lambda: frame(CALL, content, 0, 0, 8, id, flags=1),
        "subscribe": lambda: frame(CALL, content, 1, 1, 0, id, flags=1), "subscribe-plain": lambda: frame(CALL, member + content, 1, 1, 0, id),
        "read": lambda: frame(CALL, content, 1, 1, 5, id), "write": lambda: frame(CALL, dynamic("s", text("x")) + content, 1, 1, 6, id),
        "describe": lambda: frame(CALL, content, 1, 1, 2, id, flags=1), "register": lambda: frame(CALL, content, 1, 1, 102, id, flags=1),
        # A text whose one character has many parts: of what a name may have, and more.
        "name": lambda: frame(CALL, text("x" + "\u0301" * (2000 if id % 2 else len(content) // 2)), 1, 1, 100, id),
        # What costs the most to answer, and the end of the connection right behind it.
        "closing": lambda: frame(CALL, number("I", 0), 1, 1, 2, id),
        "announce": lambda: frame(CALL, content, 1, 1, 100, id, size=3_900_000),
    }[kind]()


def say(**line):
    print(json.dumps(line), flush=True)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("kind")
    options.add_argument("host")
    options.add_argument("port", type=int)
    options.add_argument("--source", help="the address to come from")
    options.add_argument("--user")
    options.add_argument("--token-file")
    options.add_argument("--what", help="the kind of frames, of some kinds of harm")
    options.add_argument("--rate", type=float, default=200, help="connections begun in a second")
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    asyncio.run(Harm(options.parse_args()).run())


if __name__ == "__main__":
    main()
