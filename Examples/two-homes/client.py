#!/usr/bin/env python3
"""What the owner runs at the desk: unmodified `qi`, told nothing but the directory next door and a name.

    client.py tcp://127.0.0.1:9559 pepper/ALTextToSpeech call|signal|property|error
"""
import os
import sys
import threading

import qi


def call(speech):
    return speech.say("Hello from Python")


def signal(speech):
    heard, done = [], threading.Event()
    link = speech.textDone.connect(lambda text: (heard.append(text), done.set()))
    speech.say("Can you hear me?")
    if not done.wait(20):
        raise SystemExit("no event within 20 s")
    speech.textDone.disconnect(link)
    return "textDone(%r)" % heard[0]


def property(speech):
    return "volume = %g" % speech.volume.value()


def error(speech):
    try:
        speech.setLanguage("Klingon")
    except RuntimeError as raised:
        return "RuntimeError: %s" % raised
    raise SystemExit("no error")


url, name, what = sys.argv[1:]
session = qi.Session()
session.connect(url)
answer = {"call": call, "signal": signal, "property": property, "error": error}[what](session.service(name))
print("answer:", answer, file=sys.stderr, flush=True)
session.close()
os._exit(0)  # libqi's threads take their time to end, and nothing is left to do
