"""A robot of several computers: network namespaces on one switch, each with a home of its own."""
import os
import subprocess

from .home import Home

NETWORK = "10.77.0"


def run(*command, check=True):
    """A command of the system, as root."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if check and done.returncode != 0:
        raise AssertionError("$ %s\n%s%s" % (" ".join(map(str, command)), done.stdout, done.stderr))
    return done.stdout


class Switch:
    """A bridge that boards are plugged into, in a namespace of its own: nothing of the host's network is touched."""

    def __init__(self, folder):
        if os.geteuid() != 0:
            raise AssertionError("these tests make network namespaces: run them as root (sudo Tests/run python -k boards)")
        self.folder = folder
        self.namespace = "qm%d-switch" % os.getpid()
        self.boards = []
        run("ip", "netns", "add", self.namespace)
        try:
            run("ip", "-n", self.namespace, "link", "add", "bridge", "type", "bridge")
            run("ip", "-n", self.namespace, "link", "set", "bridge", "up")
        except BaseException:
            self.close()
            raise

    def board(self, name, **section):
        """A board with the next address; `section` is its `device:`, nothing for one without a node of its own."""
        board = Board(self, name, len(self.boards) + 1)
        self.boards.append(board)
        board.plug_in()
        if section:
            board.write_config(device={"name": name, **section})
        return board

    def close(self):
        for board in reversed(self.boards):
            board.close()
            run("ip", "netns", "del", board.namespace, check=False)
        run("ip", "netns", "del", self.namespace, check=False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Board(Home):
    """A home whose processes live in a network namespace: another computer, as far as any of them can tell."""

    def __init__(self, switch, name, number):
        super().__init__(switch.folder, name)
        self.switch = switch
        self.namespace = "qm%d-%s" % (os.getpid(), name)
        self.address = "%s.%d" % (NETWORK, number)
        self.port = 9559
        self.url = "tcp://127.0.0.1:9559"
        self.outer_url = "tcp://%s:9559" % self.address
        self.prefix = ["ip", "netns", "exec", self.namespace]

    def plug_in(self):
        plug = "p%s" % self.address.rsplit(".", 1)[1]
        run("ip", "netns", "add", self.namespace)
        run("ip", "-n", self.namespace, "link", "set", "lo", "up")
        run("ip", "-n", self.switch.namespace, "link", "add", plug, "type", "veth", "peer", "name", "eth0", "netns", self.namespace)
        run("ip", "-n", self.switch.namespace, "link", "set", plug, "master", "bridge", "up")
        run("ip", "-n", self.namespace, "address", "add", self.address + "/24", "dev", "eth0")
        run("ip", "-n", self.namespace, "link", "set", "eth0", "up")

    def add_network(self, name, address):
        """A network of this board's own, that leads to no other."""
        end = name + "-end"
        run("ip", "-n", self.namespace, "link", "add", name, "type", "veth", "peer", "name", end)
        run("ip", "-n", self.namespace, "address", "add", address, "dev", name)
        for link in (name, end):
            run("ip", "-n", self.namespace, "link", "set", link, "up")

    def add_address(self, address):
        """One more address on the network of all boards."""
        run("ip", "-n", self.namespace, "address", "add", address + "/24", "dev", "eth0")

    def route(self, network, through):
        """As somebody on the same network who tries his luck."""
        run("ip", "-n", self.namespace, "route", "add", network, "via", through.address)

    def write_config(self, **sections):
        internal = {"listen": ["unix:%s" % self.unix_socket, self.url, self.outer_url]}
        return super().write_config(**{"internal": internal, **sections})

    # --- what the network sees

    def go_silent(self):
        """As a cut of power: what was open is not closed, and nothing comes any more."""
        run("ip", "-n", self.namespace, "link", "set", "eth0", "down")

    def speak_again(self):
        run("ip", "-n", self.namespace, "link", "set", "eth0", "up")

    def carried(self):
        """Bytes that came and went through this board's network interface."""
        total = 0
        for way in ("rx_bytes", "tx_bytes"):
            total += int(run(*self.prefix, "cat", "/sys/class/net/eth0/statistics/" + way))
        return total

    def connections(self):
        """Established TCP connections as (own address, peer's address)."""
        rows = [line.split() for line in run(*self.prefix, "ss", "-Htn", "state", "established").splitlines()]
        return [(row[2], row[3]) for row in rows]

    def connected_to(self, other):
        """Whether a connection leads from here to that board."""
        return any(peer.rsplit(":", 1)[0] == other.address for _, peer in self.connections())

    def ids(self, *arguments):
        """Service ids by name, as this board lists them."""
        rows = self.cli("ls", *arguments, "--json").ok().json["services"]
        return {row["name"]: row["id"] for row in rows if row["name"] != "ServiceDirectory"}
