"""A robot with one policy and all its doors, and somebody who comes in by each of them."""
import contextlib

import yaml

from .callers import ByHand, Stock, inside, with_certificate
from .contact import befriend
from .frames import Wire
from .home import Home
from .keys import Authority, Key
from .processes import free_port, until
from .tunnel import Device

SERVICES = ["Kinds", "Order", "Mixed", "Keyed", "Named", "Rare", "Small", "Past", "Later", "Brief", "Live", "Alone", "Hidden"]
# At tcps twice: libqi asks for nothing that it is not shown.
DOORS = ["tcps by libqi", "tcps", "tcpsm", "xmpp"]


class World:
    """`robot` is the account pepper. The device `desk` is its contact, and holder of `key`: with a certificate for that key, issued by
    `authority`, it comes in at tcpsm. At tcps, where nobody can show a key, it is a user of that name."""

    def __init__(self, folder, server):
        self.server, self.folder = server, folder
        self.address = server.jid("pepper") + "/qimesh"
        self.key, self.authority = Key(folder, "desk"), Authority(folder, "authority")
        self.certificate = self.authority.issue(self.key, "desk")
        self.stack = contextlib.ExitStack()
        self.robot = self.stack.enter_context(Home(folder, "pepper"))
        self.ports = {"tcps": free_port(), "tcpsm": free_port()}
        self.policy = self.robot.config.parent / "policy.yaml"
        self.tokens = {}

    def begin(self, policy):
        robot = self.robot.write_account(self.server, "pepper")
        content = yaml.safe_load(robot.config.read_text())
        content["gateway"] = {
            "listen": ["%s://127.0.0.1:%d" % item for item in self.ports.items()], "trust": str(self.authority.certificate),
            # As of all who come through XMPP.
            "zone": "internet"}
        robot.config.write_text(yaml.safe_dump(content))
        self.write(policy)
        for user in ("desk", "desk-libqi"):
            self.tokens[user] = robot.cli("user", "add", user).ok().out.strip()
        robot.up().wait_online()
        robot.node.wait_log("gateway ready", seconds=20)
        robot.host(*SERVICES)
        self.inside = inside(robot)
        self.inside.shape = self.inside.describe("Kinds")
        for signal in ("spoken", "moved"):
            self.inside.listen("Kinds", signal)
        self.desk = self.contact("desk")
        self.doors = {name: Door(self, name) for name in DOORS}
        return self

    def contact(self, user):
        """A device by hand that is the robot's contact."""
        device = self.stack.enter_context(Device(self.server, user))
        befriend(device, self.robot, self.server)
        until(lambda: any(row["subscription"] == "both" for row in self.robot.devices() if row["jid"] == device.bare), 20,
              lambda: "contact %s: %s" % (device.bare, self.robot.devices()))
        return device

    def write(self, policy):
        self.policy.write_text(yaml.safe_dump(policy, sort_keys=False))

    def enforce(self, policy):
        self.write(policy)
        self.robot.cli("policy", "reload").ok()

    def wire(self, door, context=None):
        return Wire("127.0.0.1", self.ports[door], context)

    def audited(self, **fields):
        """Waits for an audit record with these fields; `detail` may be part of one."""
        options = [word for name, option in (("principal", "--who"), ("target", "--target"), ("event", "--event")) if name in fields
                   for word in (option, fields[name])]

        def look():
            rows = self.robot.cli("audit", "--json", *options).ok().json["records"]
            return next((row for row in rows if all(
                value in (row[name] or "") if name == "detail" else row[name] == value for name, value in fields.items())), None)
        return until(look, 10, lambda: "record of %s in the audit; there are\n%s" % (
            fields, self.robot.cli("audit", "--count", "20").out))

    def close(self):
        for door in getattr(self, "doors", {}).values():
            door.close()
        self.stack.close()


class Door:
    """The one somebody at one of the doors. `caller` is the session that it keeps."""

    def __init__(self, world, name):
        self.world, self.name = world, name
        self.is_by_hand = name != "tcps by libqi"
        self.who, self.path = {
            "tcps by libqi": ("user:desk-libqi", "tls 127.0.0.1"), "tcps": ("user:desk", "tls 127.0.0.1"),
            "tcpsm": ("cert:" + world.key.fingerprint, "tls 127.0.0.1, key " + world.key.fingerprint),
            "xmpp": (world.desk.bare, "device " + world.desk.bare),
        }[name]
        self._caller = None

    @property
    def caller(self):
        if self._caller is None:
            self._caller = self.open()
        return self._caller

    def open(self):
        """Another session."""
        world = self.world
        if self.name == "tcps by libqi":
            token = world.folder / "token"
            token.write_text(world.tokens["desk-libqi"] + "\n")
            return Stock(world.robot, "tcps://127.0.0.1:%d" % world.ports["tcps"], "desk-libqi", token)
        if self.name == "xmpp":
            return ByHand(world.desk.tunnel(world.address, world.key), world.inside.shape)
        context = with_certificate(world.certificate, world.key) if self.name == "tcpsm" else None
        wire = world.wire(self.name, context)
        wire.log_in(*(("desk", world.tokens["desk"]) if self.name == "tcps" else ()))
        return ByHand(wire, world.inside.shape)

    def close(self):
        if self._caller is not None:
            self._caller.close()
            self._caller = None
