#!/usr/bin/env python3
"""Calls between two homes over each kind of path, beside what is bare on the same way and in the same run.

    paths.py --bin FOLDER [--rounds 3] [--short] [--json FILE]

Homes and server are network namespaces on one bridge (needs root). Beside a direct path: TLS 1.3 over TCP in C; beside a proxy: plain TCP
through the same proxy; in-band: an in-band bytestream without a stream above it, and an XMPP ping. A bulk is an echo of so many bytes.
"""
import argparse
import json
import pathlib
import statistics
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "EndToEnd"))
sys.dont_write_bytecode = True

from homes.boards import Switch  # noqa: E402
from homes.prosody import Prosody  # noqa: E402
from processes import Failure, Server, measure  # noqa: E402

ACCOUNTS = {"pepper": "secret-p", "desk": "secret-d"}
# Kind: calls, bulks, bytes of a bulk.
WORKS = {"direct": (2000, 100, 1 << 20), "proxy": (2000, 100, 1 << 20), "in-band": (1000, 20, 1 << 18)}
SHORT = {"direct": (20, 2, 1 << 18), "proxy": (20, 2, 1 << 18), "in-band": (20, 2, 1 << 14)}
# Figure of ours, its baseline, what the ratio is of, its bound, and whether that is the most or the least.
AIMS = {
    "direct": [("bulk", "C, TLS", "speed", 0.8)],
    "proxy": [("bulk", "bare bulk", "speed", 0.8)],
    "in-band": [("call", "ping", "time", 1.5)],
}


def one(kind, options, folder):
    """The figures of one run: name to p50 in microseconds."""
    count, bulks, size = (SHORT if options.short else WORKS)[kind]
    with Switch(folder) as switch:
        host, pepper, desk = (switch.board(name) for name in ("server", "pepper", "desk"))
        for board in (pepper, desk):
            board.folder.mkdir(parents=True, exist_ok=True)
        with Prosody(folder, ACCOUNTS, board=host, proxy=kind == "proxy") as server:
            command = lambda board, word: [  # noqa: E731
                *board.prefix, options.bin / "Benchmarks", word, board.name, ACCOUNTS[board.name], server.domain, server.address,
                server.ca, kind]
            with Server(command(pepper, "home")):
                result = measure([*command(desk, "across"), "pepper", count, bulks, size], timeout=600)
        if kind == "direct":
            result.update(bare_tls(pepper, desk, server.folder / "tls", options.bin / "Baseline", count, bulks, size))
    return {name: figures["p50"] for name, figures in result.items()}


def bare_tls(pepper, desk, tls, baseline, count, bulks, size):
    address = "tls:%s:7443" % pepper.address
    with Server([*pepper.prefix, baseline, "serve", address, tls / "server.crt", tls / "server.key"]):
        drive = [*desk.prefix, baseline, "drive", address]
        return {"C call, TLS": measure([*drive, "latency", count, 16]), "C, TLS": measure([*drive, "bulk", bulks, size])}


def show(kind, figures, size):
    print(kind)
    for name, p50 in figures.items():
        speed = "" if "call" in name or name == "ping" else f"{2 * size / p50:9.2f} MB/s"
        print(f"    {name:14}{p50:11.1f} us{speed}")
    for ours, base, what, bound in AIMS[kind]:
        ratio = figures[ours] / figures[base] if what == "time" else figures[base] / figures[ours]
        good = ratio <= bound if what == "time" else ratio >= bound
        print(f"    {ours} / {base}: {ratio:.2f} of its {what}, aim {bound}: {'yes' if good else 'NO'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="where Benchmarks and Baseline were built")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--short", action="store_true", help="a handful of repetitions: shows that everything runs, not how fast")
    parser.add_argument("--only", choices=list(WORKS), help="that kind of path alone")
    parser.add_argument("--json", type=pathlib.Path, help="also write the figures here")
    options = parser.parse_args()
    options.bin = options.bin.resolve()
    rounds = {kind: [] for kind in WORKS if options.only in (None, kind)}
    for _ in range(1 if options.short else options.rounds):
        for kind, results in rounds.items():
            with tempfile.TemporaryDirectory(prefix="qimesh-paths-") as folder:
                results.append(one(kind, options, pathlib.Path(folder)))
    medians = {
        kind: {name: statistics.median(result[name] for result in results) for name in results[0]} for kind, results in rounds.items()
    }
    for kind, figures in medians.items():
        show(kind, figures, (SHORT if options.short else WORKS)[kind][2])
    if options.json:
        options.json.write_text(json.dumps(medians, indent=1))


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"error: {failure}")
