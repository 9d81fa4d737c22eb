"""libqi talking to libqi over TCP: the baseline. Prints `samples` and the round trips in microseconds, one JSON list."""
import json
import sys
import time

import qi


@qi.multiThreaded()
class Echo:
    @qi.bind("s", ["s"], "echo")
    def echo(self, text):
        return text


def service(url):
    session = qi.Session()
    session.connect(url)
    session.listen("tcp://127.0.0.1:0")
    session.registerService("Echo", Echo())
    print("ready", flush=True)
    sys.stdin.read()


def client(url, count):
    session = qi.Session()
    session.connect(url)
    echo = session.service("Echo")
    samples = []
    for index in range(count + 50):
        start = time.perf_counter()
        echo.echo("0123456789abcdef")
        if index >= 50:
            samples.append((time.perf_counter() - start) * 1e6)
    print("samples", json.dumps(samples), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "service":
        service(sys.argv[2])
    else:
        client(sys.argv[2], int(sys.argv[3]))
