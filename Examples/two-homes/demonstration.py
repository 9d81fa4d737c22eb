"""The steps of the demonstration, each with the time it took. Run it through `run`, which installs and builds first."""
import pathlib
import shutil
import signal
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parents[1] / "Tests/EndToEnd"))

from homes.contact import Contact, befriend  # noqa: E402
from homes.home import PYTHON, Home, meet  # noqa: E402
from homes.processes import new_scratch  # noqa: E402
from homes.prosody import Prosody  # noqa: E402

SPEECH = "pepper/ALTextToSpeech"


class Step:
    """Prints what is being done, then how long it took and what came of it."""

    count = 0

    def __init__(self, title):
        self.title = title

    def __enter__(self):
        Step.count += 1
        self.start = time.monotonic()
        print("%2d. %s" % (Step.count, self.title), end=" … ", flush=True)
        return self

    def __exit__(self, kind, *_):
        print("FAILED" if kind else "%.2f s" % (time.monotonic() - self.start), flush=True)
        if not kind:
            for line in getattr(self, "lines", []):
                print("      " + line, flush=True)

    def show(self, text):
        self.lines = text.rstrip().splitlines()


def python(home, what):
    """What the unmodified client got, through the directory of `home` itself."""
    child = home.start("client-" + what, [PYTHON, HERE / "client.py", home.url, SPEECH, what])
    child.wait_end(60)
    return child.wait_log("answer: ").split("answer: ", 1)[1]


def show(folder):
    with Prosody(folder, {"pepper": "secret-of-pepper", "desk": "secret-of-desk", "owner": "secret-of-owner"}) as server, \
            Home(folder, "pepper") as pepper, Home(folder, "desk") as desk, Contact(server, "owner", "phone") as owner:
        print("A private XMPP server at %s, certificate authority of its own, TLS mandatory." % server.address)
        with Step("two nodes go up, each with its own account") as step:
            for home in (pepper, desk):
                home.write_account(server, home.name).up().wait_online()
            step.show("pepper %s\ndesk   %s" % (pepper.url, desk.url))
        with Step("unmodified Python registers ALTextToSpeech on pepper"):
            pepper.start("speech", [PYTHON, HERE / "speech.py", pepper.url]).wait_log("registered", 20)
        with Step("desk invites pepper, pepper approves; each finds the other by presence") as step:
            meet(desk, pepper, server)
            step.show(desk.cli("devices").ok().out)
        with Step("desk lists pepper's services") as step:
            step.show(desk.cli("ls", "pepper").ok().out)
        with Step("the command line calls across") as step:
            answer = desk.cli("call", SPEECH + ".say", '"Hello from the desk"').ok()
            expect("pepper says: Hello from the desk" in answer.out, answer)
            step.show(answer.out)
        for what, title, expected in [
            ("call", "unmodified Python calls across, through desk's own directory", "pepper says: Hello from Python"),
            ("signal", "a signal is heard across", "textDone('Can you hear me?')"),
            ("property", "a property is read across", "volume = 0.5"),
            ("error", "an error of the service arrives as that error", "Klingon is not installed"),
        ]:
            with Step(title) as step:
                answer = python(desk, what)
                expect(expected in answer, answer)
                step.show(answer)
        with Step("the owner's phone, an ordinary XMPP client, becomes a contact of both"):
            for home in (pepper, desk):
                befriend(owner, home, server)
        with Step("pepper is stopped, desk and phone see it go"):
            owner.forget()
            expect(pepper.down() == 0, pepper)
            desk.wait_device("pepper", state="offline")
            owner.wait_presence(server.jid("pepper"), "unavailable")
        with Step("desk is stopped, the phone sees it go"):
            expect(desk.down() == 0, desk)
            owner.wait_presence(server.jid("desk"), "unavailable")


def expect(condition, what):
    if not condition:
        raise AssertionError(str(what))


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder, start = new_scratch("two-homes"), time.monotonic()
    try:
        show(folder)
    except (AssertionError, OSError, KeyError, ValueError) as failure:
        print("\nerror: %s\nlogs: %s" % (failure, folder), file=sys.stderr)
        sys.exit(1)
    except (KeyboardInterrupt, SystemExit):
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder)
    print("All shown in %.1f s; no process is left." % (time.monotonic() - start))


if __name__ == "__main__":
    main()
