"""As much of a qi client as the guards need: calls in bursts, each burst one write, and nothing of its own between."""
import struct

import idle

CALL, REPLY = 1, 2
DIRECTORY_SERVICE = 100


class Client:
    def __init__(self, url):
        self.connection = idle.dial(url)
        self.received = b""

    def close(self):
        self.connection.close()

    @staticmethod
    def frame(service, action, payload=b"", number=1):
        return struct.pack("<4sIIHBBIII", b"\x42\xde\xad\x42", number, len(payload), 0, CALL, 0, service, 1, action) + payload

    def answers(self, count):
        """The payloads of the next answers; an Error ends the program that asked."""
        payloads = []
        while len(payloads) < count:
            if len(self.received) >= idle.HEADER:
                size = struct.unpack_from("<I", self.received, 8)[0]
                if len(self.received) >= idle.HEADER + size:
                    payload, kind = self.received[idle.HEADER:idle.HEADER + size], self.received[14]
                    self.received = self.received[idle.HEADER + size:]
                    if kind != REPLY:
                        raise ConnectionError(f"a message of type {kind} instead of a reply: {payload!r}")
                    payloads.append(payload)
                    continue
            part = self.connection.recv(1 << 16)
            if not part:
                raise ConnectionError("the service closed the connection")
            self.received += part
        return payloads

    def call(self, service, action, payload=b""):
        self.connection.sendall(self.frame(service, action, payload))
        return self.answers(1)[0]

    def service(self, name):
        """The id of a service: the second member of its ServiceInfo."""
        info = self.call(1, DIRECTORY_SERVICE, string(name))
        return struct.unpack_from("<I", info, 4 + struct.unpack_from("<I", info)[0])[0]

    def bursts(self, service, action, payload, count, calls=64):
        burst = b"".join(self.frame(service, action, payload, number + 2) for number in range(calls))
        for _ in range(count):
            self.connection.sendall(burst)
            self.answers(calls)


def string(text):
    return struct.pack("<I", len(text)) + text.encode()
