#!/usr/bin/env python3
"""What a robot's owner has: a service of unmodified `qi`, registered in the directory of the device it runs on.

    speech.py tcp://127.0.0.1:9559
"""
import sys
import threading

import qi


class TextToSpeech:
    """Enough of a robot's ALTextToSpeech to be heard."""

    def __init__(self):
        self.textDone = qi.Signal("(s)")
        self.volume = qi.Property("f")
        self.volume.setValue(0.5)
        self._languages = ["English", "French"]

    @qi.bind("s", ["s"], "say")
    def say(self, text):
        """Says the text."""
        self.textDone(text)
        return "pepper says: " + text

    @qi.bind("v", ["s"], "setLanguage")
    def set_language(self, language):
        """Takes a language that is installed."""
        if language not in self._languages:
            raise RuntimeError("%s is not installed, there are %s" % (language, ", ".join(self._languages)))


session = qi.Session()
session.connect(sys.argv[1])
session.registerService("ALTextToSpeech", TextToSpeech())
print("registered", file=sys.stderr, flush=True)
threading.Event().wait()
