"""A private XMPP server: Prosody on loopback with a certificate authority of its own, mandatory TLS and, unless it is one of a
`Federation`, no other server to talk to."""
import contextlib
import os
import random
import signal
import subprocess

from .processes import Child, can_connect, free_port, until

DOMAIN = "mesh.test"

CONFIG = """\
{run_as_root}
pidfile = "{folder}/prosody.pid"
data_path = "{folder}/data"
certificates = "{folder}/tls"
log = {{ {{ levels = {{ min = "{level}" }}, to = "file", filename = "{folder}/prosody.stanzas.log" }} }}
interfaces = {{ "{interface}" }}
c2s_ports = {{ {port} }}
c2s_direct_tls_ports = {{ }}
s2s_ports = {{ {s2s_ports} }}
http_ports = {{ }}
https_ports = {{ }}
component_ports = {{ }}
plugin_paths = {{ }}
modules_enabled = {{ {modules} }}
{federation}
allow_registration = false
c2s_require_encryption = true
authentication = "internal_hashed"
storage = "internal"
{limits}
{groups}
{proxy_port}
VirtualHost "{domain}"
  ssl = {{ certificate = "{folder}/tls/server.crt", key = "{folder}/tls/server.key" }}
{proxy}
"""
MODULES = ["disco", "roster", "saslauth", "tls", "blocklist", "pep", "ping", "private", "version", "time"]


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise AssertionError("%s: %s%s" % (command[0], done.stdout, done.stderr))


def make_certificates(tls, domain=DOMAIN):
    """An authority of its own, `ca.pem`, and the server's certificate and key, in a new folder."""
    tls.mkdir()
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    run("openssl", "req", "-x509", *key, "-keyout", tls / "ca.key", "-out", tls / "ca.pem", "-subj", "/CN=private CA",
        "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    run("openssl", "req", *key[:-2], "-keyout", tls / "server.key", "-out", tls / "server.csr", "-subj", "/CN=" + domain)
    extensions = tls / "server.ext"
    # Also a client's: with it a server shows another one who it is.
    extensions.write_text("subjectAltName=DNS:%s\nextendedKeyUsage=serverAuth,clientAuth\n" % domain)
    run("openssl", "x509", "-req", "-in", tls / "server.csr", "-CA", tls / "ca.pem", "-CAkey", tls / "ca.key",
        "-CAcreateserial", "-days", "2", "-extfile", extensions, "-out", tls / "server.crt")


class Prosody:
    """`accounts` maps user names to passwords. `stanzas` writes every stanza that passes to a log (`stanza_log`).
    `rate` is what a server on the open network would allow a client, for example "10kb/s"; without it nothing is throttled.
    `federation` is the lines of the configuration that say how other servers are found. `groups` maps names of groups to their members,
    each an address and a name: the server puts each into the contact lists of the others, as an operator who shares groups does.
    `board` is the computer it runs on, of those on a `Switch`; `proxy` has it offer SOCKS5 bytestreams to its accounts (mod_proxy65)."""

    def __init__(self, folder, accounts, stanzas=False, rate=None, domain=DOMAIN, interface="127.0.0.1", federation=None,
                 groups=None, board=None, proxy=False):
        self.folder, self.accounts, self.domain = folder / "prosody", dict(accounts), domain
        if board is not None:
            interface = board.address
        self.board = board
        self.port, self.interface = free_port(interface if board is None else "127.0.0.1"), interface
        self.ca = self.folder / "tls" / "ca.pem"
        self.config = self.folder / "prosody.cfg.lua"
        self.stanza_log = self.folder / "prosody.stanzas.log"
        self._child = None
        (self.folder / "data").mkdir(parents=True)
        make_certificates(self.folder / "tls", domain)
        modules = MODULES + (["stanza_debug"] if stanzas else []) + (["limits"] if rate else []) + (["s2s_auth_certs"] if federation else [])
        if groups:
            modules = modules + ["groups"]
            lines = ["[%s]\n%s" % (name, "".join("%s=%s\n" % member for member in members)) for name, members in groups.items()]
            (self.folder / "groups.txt").write_text("".join(lines))
        self.config.write_text(CONFIG.format(
            run_as_root="run_as_root = true" if os.geteuid() == 0 else "",
            folder=self.folder, port=self.port, domain=domain, interface=interface, s2s_ports="5269" if federation else "",
            federation=federation or 'modules_disabled = { "s2s" }', level="debug" if stanzas else "info",
            modules=", ".join('"%s"' % name for name in modules),
            groups='groups_file = "%s"' % (self.folder / "groups.txt") if groups else "",
            proxy_port='proxy65_interfaces = { "%s" }\nproxy65_ports = { %d }' % (interface, free_port()),
            proxy='Component "proxy.%s" "proxy65"\n  proxy65_address = "%s"\n  proxy65_acl = { "%s" }' % (
                domain, interface, domain) if proxy else "",
            limits='limits = { c2s = { rate = "%s" } }' % rate if rate else ""))
        for user, password in self.accounts.items():
            self.register(user, password)

    @property
    def address(self):
        return "%s:%d" % (self.interface, self.port)

    def jid(self, user):
        return "%s@%s" % (user, self.domain)

    def register(self, user, password):
        as_root = ["--root"] if os.geteuid() == 0 else []
        run("prosodyctl", "--config", self.config, *as_root, "register", user, self.domain, password)
        self.accounts[user] = password

    def start(self):
        prefix = [] if self.board is None else self.board.prefix
        self._child = Child("server", [*prefix, "prosody", "-F", "--config", self.config], self.folder)

        def ready():
            if not self._child.running:
                raise AssertionError(self._child.describe())
            if self.board is not None:
                return ":%d " % self.port in subprocess.run(
                    [*prefix, "ss", "-Htln"], capture_output=True, text=True).stdout
            return can_connect(self.port, self.interface)
        until(ready, 15, lambda: "XMPP server: " + self._child.describe())
        return self

    def stop(self):
        if self._child is not None:
            self._child.stop()
            self._child = None

    @contextlib.contextmanager
    def paused(self):
        """The server takes nothing and answers nothing meanwhile, and ends no connection."""
        os.killpg(self._child.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self._child.pid, signal.SIGCONT)

    def passed(self):
        """All that went through the server, as text; for `stanzas` only."""
        return self.stanza_log.read_text(errors="replace")

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


FEDERATION = """\
unbound = {{ hoststxt = "{hosts}", resolvconf = false }}
s2s_require_encryption = true
s2s_secure_auth = true
ssl = {{ cafile = "{authorities}" }}
"""


class Federation:
    """Two servers, `alpha.test` and `beta.test`, that reach each other as servers on the internet do: by name, on port 5269, each with
    the certificate of its own authority. They have addresses of their own, so that several may run at a time."""

    def __init__(self, folder):
        net = "127.%d.%d" % (random.randrange(1, 255), random.randrange(1, 255))
        names = {"alpha.test": net + ".2", "beta.test": net + ".3"}
        hosts, authorities = folder / "hosts", folder / "authorities.pem"
        folder.mkdir()
        hosts.write_text("".join("%s %s\n" % (address, name) for name, address in names.items()))
        self.servers = []
        for name, address in names.items():
            (folder / name).mkdir()
            self.servers.append(Prosody(
                folder / name, {}, stanzas=True, domain=name, interface=address,
                federation=FEDERATION.format(hosts=hosts, authorities=authorities)))
        authorities.write_text("".join(server.ca.read_text() for server in self.servers))

    def __enter__(self):
        for server in self.servers:
            server.start()
        return self.servers

    def __exit__(self, *_):
        for server in self.servers:
            server.stop()
