"""What answers in a door's place: TLS with a certificate of its own, and a list of all that it was told."""
import contextlib
import socket
import ssl
import threading


class Impostor:
    """Listens at `port` with the certificate and key of a `Key`. `heard` is what clients said inside TLS, `handshakes` how many were
    completed."""

    def __init__(self, port, key, host="127.0.0.1"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(key.certificate, key.file)
        self.heard, self.handshakes, self.connections = b"", 0, 0
        self._context = context
        self._listener = socket.create_server((host, port))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                client.settimeout(5)
                with client, contextlib.suppress(OSError):
                    with self._context.wrap_socket(client, server_side=True) as inside:
                        self.handshakes += 1
                        while chunk := inside.recv(65536):
                            self.heard += chunk

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
