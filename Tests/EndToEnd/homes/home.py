"""A home: one user's HOME, a node of ours in it, the processes of that user, and the command line as that user types it."""
import json
import os
import subprocess
import sys

import yaml

from .processes import ROOT, Child, free_port, until

PEERS = ROOT / "Tests/InteropTests/Peers"
PYTHON = sys.executable


def binary():
    """The built command: $QIMESH_BINARY, or that of the debug build."""
    path = os.environ.get("QIMESH_BINARY") or ROOT / ".build/debug/qimesh"
    if not os.access(path, os.X_OK):
        raise AssertionError("%s is not built: swift build --product qimesh" % path)
    return path


class Answer:
    """What a command said."""

    def __init__(self, command, code, out, err):
        self.command, self.code, self.out, self.err = command, code, out, err

    @property
    def json(self):
        """The one JSON document of a `--json` command."""
        try:
            return json.loads(self.out)
        except ValueError:
            raise AssertionError("no JSON document from %s" % self) from None

    @property
    def error(self):
        """The error object of a failed `--json` command."""
        assert self.code != 0 and self.json.get("ok") is False, str(self)
        return self.json["error"]

    def ok(self):
        assert self.code == 0, str(self)
        return self

    def __str__(self):
        return "$ %s\nexit %s\n%s%s" % (" ".join(map(str, self.command)), self.code, self.out, self.err)


class Home:
    """`name` is the device's name and the folder's. Processes start with an environment of this home alone."""

    def __init__(self, folder, name):
        self.name, self.folder = name, folder / name
        self.port = free_port()
        self.url = "tcp://127.0.0.1:%d" % self.port
        self.runtime = self.folder / "run"
        self.config = self.folder / ".config/qimesh/qimesh.yaml"
        self.node = None
        self.prefix = []  # what every command of this home is run by
        self.priority = None  # of what it starts, as `nice` counts
        self._children = []
        for path in (self.folder, self.runtime):
            path.mkdir(mode=0o700)
        self.env = {
            "HOME": str(self.folder), "XDG_RUNTIME_DIR": str(self.runtime), "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8", "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1",
        }
        for name in ("LD_LIBRARY_PATH", "TERM", "USER", "LOGNAME"):
            if name in os.environ:
                self.env[name] = os.environ[name]

    # --- configuration

    def write_config(self, **sections):
        """`qimesh.yaml` with this home's own port, and what is given on top."""
        content = {
            "device": {"name": self.name},
            "internal": {"listen": ["unix:%s" % self.unix_socket, self.url]},
            **sections,
        }
        self.config.parent.mkdir(parents=True, exist_ok=True)
        self.config.write_text(yaml.safe_dump(content))
        return self

    def write_account(self, server, user, password=None, accept=(), ca=None, **more):
        """The same with one XMPP account on `server`."""
        secret = self.folder / "xmpp.pw"
        secret.touch(mode=0o600)
        secret.write_text((password or server.accounts[user]) + "\n")
        account = {
            "jid": server.jid(user), "password-file": str(secret), "resource": "qimesh",
            "server": server.address, "ca-file": str(ca or server.ca), **more,
        }
        if accept:
            account["accept"] = list(accept)
        return self.write_config(xmpp=[account])

    @property
    def unix_socket(self):
        return self.runtime / "qimesh/sd.sock"

    # --- the node

    def let_contacts_do_everything(self, server):
        """Writes a policy that allows the accounts of a server all use, statistics and traces included. Without one they may not write."""
        told = ("isStatsEnabled", "enableStats", "stats", "clearStats", "isTraceEnabled", "enableTrace", "traceObject")
        path = self.config.parent / "policy.yaml"
        path.touch(mode=0o600)
        path.write_text(json.dumps({"rules": [
            {"who": "domain:" + server.jid("x").split("@")[1], "allow": ["*"] + ["*." + name for name in told]}]}))
        return self

    def up(self, wait=True, name="node"):
        """Starts `qimesh up`; ready once it says where its directory listens."""
        self.node = self.start(name, [binary(), "up"])
        if wait:
            self.node.wait_log("ready: directory", seconds=20)
        return self

    def ready_urls(self):
        line = self.node.wait_log("ready: directory")
        return line.split("ready: directory", 1)[1].split()

    def down(self):
        """Ends the node as Ctrl-C or systemd would. Returns its exit status."""
        node, self.node = self.node, None
        return node.stop()

    def wait_online(self, seconds=30):
        """Until the node's account is connected to its server."""
        def online():
            accounts = self.cli("status", "--json").ok().json.get("accounts", [])
            return accounts and all(account["state"] == "online" for account in accounts)
        until(online, seconds, lambda: "online account of %s: %s" % (self.name, self.node.describe()))

    def wait_device(self, name, state="online", seconds=30):
        """Until this node sees the device `name` in `state`. Returns its row of `qimesh devices`."""
        last = []

        def found():
            last[:] = self.devices()
            return next((row for row in last if name in (row.get("name"), row.get("jid")) and row["state"] == state), None)
        return until(found, seconds, lambda: "%s %s in %s\n%s" % (name, state, last, self.node.describe()))

    # --- the command line

    def cli(self, *arguments, timeout=60, env=(), stdin=None):
        command = ["qimesh", *map(str, arguments)]
        done = subprocess.run([*self.prefix, binary(), *command[1:]], env={**self.env, **dict(env)}, capture_output=True, text=True,
                              timeout=timeout, input=stdin, stdin=subprocess.DEVNULL if stdin is None else None)
        return Answer(command, done.returncode, done.stdout, done.stderr)

    def shell(self, line, stdin=None, timeout=60):
        """What a line at this user's shell does, as a completed process."""
        return subprocess.run([*self.prefix, "sh", "-c", line], env=self.env, capture_output=True, text=True, timeout=timeout, input=stdin,
                              stdin=subprocess.DEVNULL if stdin is None else None)

    def devices(self):
        return self.cli("devices", "--json").ok().json["devices"]

    def services_at(self, url):
        """What a directory that is none of ours lists."""
        return [row["name"] for row in self.cli("ls", "--url", url, "--json").ok().json["services"]]

    def services(self, *device):
        return [row["name"] for row in self.cli("ls", *device, "--json").ok().json["services"]]

    def call(self, target, *arguments, **options):
        """The result of `qimesh call`, each argument given as JSON."""
        values = [json.dumps(value) for value in arguments]
        return self.cli("call", target, *values, "--json", **options).ok().json["result"]

    # --- Python peers of this home

    def start(self, name, command):
        child = Child(name, [*self.prefix, *command], self.folder, env=self.env)
        self._children.append(child)
        if self.priority is not None:
            child.set_priority(self.priority)
        return child

    def peer(self, script, *arguments, name=None):
        """A script of Tests/InteropTests/Peers, on unmodified libqi."""
        return self.start(name or script, [PYTHON, PEERS / (script + ".py"), *arguments])

    def host(self, *services, url=None, listen=None, orderly=False):
        """Hosts the test service under the given names, ready when the directory lists them."""
        arguments = ["--leash", "--url", url or self.url]
        for service in services:
            arguments += ["--name", service]
        if listen:
            arguments += ["--listen", listen]
        if orderly:
            arguments.append("--orderly")
        child = self.peer("service", *arguments, name="service-" + services[0].replace("/", "_"))
        child.wait_line(lambda line: line == "ready", 20, "ready line")
        return child

    def battery(self, *arguments, seconds=120):
        """Runs client.py to its end. Returns its checks by name."""
        child = self.peer("client", *arguments, name="client")
        child.wait_end(seconds)
        checks = {row["name"]: row for row in map(json.loads, child.lines())}
        assert checks, child.describe()
        return checks

    def leave(self, *arguments, seconds=60):
        """Runs leaver.py, which ends while it holds an object, to its end. Returns its exit status."""
        child = self.peer("leaver", *arguments, name="leaver")
        code = child.wait_end(seconds)
        assert child.lines() == ["42"], child.describe()
        return code

    def close(self):
        for child in reversed(self._children):
            child.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def failures(checks):
    """The checks of a battery that went wrong, as lines; empty when all is well."""
    return ["%(name)s: %(detail)s" % row for row in checks.values() if not row["ok"]]


def meet(inviter, approver, server):
    """Makes two homes each other's contacts by the node's own commands, and waits until each sees the other."""
    inviter.cli("invite", server.jid(approver.name), "--name", approver.name, "--json").ok()
    until(lambda: approver.cli("approve", server.jid(inviter.name), "--json").code == 0, 20,
          lambda: "request to approve at %s: %s" % (approver.name, approver.node.describe()))
    inviter.wait_device(approver.name)
    approver.wait_device(server.jid(inviter.name))
