#!/usr/bin/env python3
"""Turns the recorded vectors into first inputs for each fuzz target.

    seeds.py FOLDER        writes FOLDER/<target>/*

The forms are those of the targets (DecoderFuzz.swift and its neighbours).
"""
import hashlib
import json
import pathlib
import sys

VECTORS = pathlib.Path(__file__).resolve().parent.parent / "QiWireTests" / "Vectors"


def short(data):
    """Bytes behind their count."""
    return bytes([len(data)]) + data


def entries():
    for path in sorted(VECTORS.glob("*.json")):
        content = json.loads(path.read_text())
        yield path.stem, content


def frames():
    """(conversation, connection, direction, bytes) of everything recorded."""
    for name, content in entries():
        for message in content.get("messages", []):
            if "hex" in message:
                yield name, message["connection"], message["direction"], bytes.fromhex(message["hex"])
        for exchange in content.get("exchanges", []):
            for sent in exchange["sent"]:
                yield name, 0, "client->sd", bytes.fromhex(sent)


def steps(peer, stream):
    """The directory target's raw steps for a piece of a stream."""
    return b"".join(bytes([peer % 3]) + short(stream[at:at + 255]) for at in range(0, len(stream), 255))


def seeds():
    codec = dict(entries())["codec"]["entries"]
    for entry in codec:
        signature, payload = entry["signature"].encode(), bytes.fromhex(entry["hex"])
        yield "signature", signature
        if len(signature) <= 48 and len(payload) < 2048:
            for target in (b"m", signature, b"[m]", b"s", b"(ids)"):
                yield "values", short(signature) + short(target) + b"\x01" + payload
            yield "values", short(b"m") + short(signature) + b"\x01" + len(signature).to_bytes(4, "little") + signature + payload
    streams = {}
    for name, connection, direction, frame in frames():
        streams[name, connection, direction] = streams.get((name, connection, direction), b"") + frame
        if len(frame) < 2048:
            yield "decoder", b"\x05\x11" + frame
            if frame[16:24] == bytes(8):
                for flags in (0, 1, 3, 11):
                    yield "handshake", bytes([flags]) + frame + frame
            if direction.endswith("->sd"):
                yield "directory", steps(0, frame)
    for (name, connection, direction), stream in streams.items():
        yield "decoder", b"\x20\x11" + stream[:4000]
        if direction.endswith("->sd"):
            yield "directory", steps(connection, stream[:3500])
    # One of each well-formed call, and each control, from every peer.
    for which in range(16):
        yield "directory", bytes(code for peer in range(3) for code in (which << 4 | 2 << 2 | peer, which)) + bytes([which << 4 | 3 << 2])
    # Register, make ready, look up, close.
    yield "directory", bytes([0x28, 1, 0x58, 3, 0x18, 0, 0x08, 1, 0x0C])


def main():
    root = pathlib.Path(sys.argv[1])
    for target, data in seeds():
        folder = root / target
        folder.mkdir(parents=True, exist_ok=True)
        (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)
    for folder in sorted(root.iterdir()):
        print(f"{folder.name}: {len(list(folder.iterdir()))} seeds")


if __name__ == "__main__":
    main()
