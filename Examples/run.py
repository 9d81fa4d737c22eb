"""Runs every example the way its first line says, and looks at what it prints. Run it through `.ci/examples`."""
import pathlib
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "Tests/EndToEnd"))

from homes.home import Home, meet  # noqa: E402
from homes.processes import new_scratch, until  # noqa: E402
from homes.prosody import Prosody  # noqa: E402


def program(name):
    return ROOT / ".build/debug" / name


def run(home, name, *arguments):
    """What an example printed; it has to end by itself and well."""
    child = home.start(name.lower(), [program(name), *arguments])
    status = child.wait_end(60)
    expect(status == 0, "%s ended with %s\n%s" % (name, status, child.describe()))
    lines = child.lines()
    print("%s\n%s" % (name, "".join("    %s\n" % line for line in lines)), end="", flush=True)
    return lines


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def on_one_machine(folder):
    with Home(folder, "desk") as home:
        home.write_config().up()
        hello = home.start("hello", [program("Hello"), home.url])
        until(lambda: "Greeter" in home.services(), 20, hello.describe)
        expect(run(home, "Permissions") == [
            'allow  rule 1  who=group:operators  allow=["ALTextToSpeech.*"]',
            'deny   rule 2  who=everyone  deny=["ALMotion.*"]',
            "deny   no rule lists it (zone internet: denied)",
            "outside of a call: home only",
        ], "Permissions")
        expect(run(home, "Call", home.url)[0] == "Hello Ada", "Call")
        expect(run(home, "Signals", home.url) == ["greeted: Ada", "greeted: Grace", "volume: 9"], "Signals")
        expect(hello.stop() == 0, hello.describe())


def between_devices(folder):
    with Prosody(folder, {"pepper": "secret-of-pepper", "op": "secret-of-op"}) as server, \
            Home(folder, "pepper") as pepper, Home(folder, "op") as op:
        for home in (pepper, op):
            home.write_account(server, home.name)
        policy = pepper.config.parent / "policy.yaml"
        policy.write_text("rules: [{ who: %s, allow: ['*'], register: [Greeter] }]\n" % server.jid("op"))
        policy.chmod(0o600)
        for home in (pepper, op):
            home.up().wait_online()
        meet(op, pepper, server)
        op.down()
        account = [server.jid("op"), op.folder / "xmpp.pw"]
        place = [server.address, server.ca]
        cloud = op.start("cloud", [program("Cloud"), *account, "pepper", *place])
        until(lambda: "Greeter" in pepper.services(), 60, cloud.describe)
        expect(pepper.call("Greeter.greet", "Ada") == "Hello Ada, from far away", "Cloud")
        expect(cloud.wait_end(30) == 0 and cloud.lines() == ["greeted: Ada"], cloud.describe())
        print("Cloud\n    greeted: Ada", flush=True)
        until(lambda: "Greeter" not in pepper.services(), 10, "end of the hosted service")
        hello = pepper.start("hello", [program("Hello"), pepper.url])
        until(lambda: "Greeter" in pepper.services(), 20, hello.describe)
        lines = run(op, "Remote", *account, "pepper", *place)
        expect(lines[0] == "Hello you, from far away" and lines[1].startswith("path: xmpp in-band, "), lines)
        discover = op.start("discover", ["stdbuf", "-oL", program("Discover"), *account, *place])
        seen = discover.wait_line(lambda line: line.startswith("+ pepper"), 30, "+ pepper")
        expect("Greeter" in seen, seen)
        expect(pepper.down() == 0, "pepper")
        expect(discover.wait_end(30) == 0, discover.describe())
        expect(discover.lines()[-1] == "- pepper", discover.describe())
        print("Discover\n" + "".join("    %s\n" % line for line in discover.lines()), end="", flush=True)


def main():
    folder = new_scratch("examples")
    try:
        on_one_machine(folder)
        between_devices(folder)
    except (AssertionError, OSError, IndexError) as failure:
        sys.exit("error: %s\nlogs: %s" % (failure, folder))
    shutil.rmtree(folder)
    print("All examples did what they say.")


if __name__ == "__main__":
    main()
