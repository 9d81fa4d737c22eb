"""How much memory a service keeps for a connection that does nothing: many of them, authenticated, divided."""
import json
import pathlib
import resource
import socket
import struct
import time

VECTORS = pathlib.Path(__file__).resolve().parent.parent / "QiWireTests" / "Vectors"
HEADER = 28


def authenticate_frame():
    """The first message a libqi client sends, as recorded."""
    messages = json.loads((VECTORS / "a1_handshake_services.json").read_text())["messages"]
    return bytes.fromhex(next(message["hex"] for message in messages if "hex" in message))


def read_frame(connection):
    """One whole frame: header and payload."""
    def exactly(count):
        data = b""
        while len(data) < count:
            part = connection.recv(count - len(data))
            if not part:
                raise ConnectionError("the service closed the connection")
            data += part
        return data

    header = exactly(HEADER)
    return header, exactly(struct.unpack_from("<I", header, 8)[0])


def dial(url):
    """A connection to `tcp://host:port` or `unix:path` that is authenticated."""
    if url.startswith("unix:"):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(url[len("unix:"):])
    else:
        host, port = url[len("tcp://"):].rsplit(":", 1)
        connection = socket.create_connection((host, int(port)))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(authenticate_frame())
    read_frame(connection)
    return connection


def kilobytes_per_connection(server, url, count):
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 4096) if most > 0 else 4096, most))
    warm = [dial(url) for _ in range(20)]
    settled = server.resident_kilobytes()
    connections = [dial(url) for _ in range(count)]
    # Whatever the service still does after its answer.
    time.sleep(0.5)
    grown = server.resident_kilobytes() - settled
    for connection in warm + connections:
        connection.close()
    return max(grown, 0.01) / count
