"""A private XMPP server: Prosody on loopback with a certificate authority of its own, mandatory TLS and no federation."""
import os
import subprocess

from .processes import Child, can_connect, free_port, until

DOMAIN = "mesh.test"

CONFIG = """\
{run_as_root}
pidfile = "{folder}/prosody.pid"
data_path = "{folder}/data"
certificates = "{folder}/tls"
log = {{ {{ levels = {{ min = "{level}" }}, to = "file", filename = "{folder}/prosody.stanzas.log" }} }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
c2s_direct_tls_ports = {{ }}
s2s_ports = {{ }}
http_ports = {{ }}
https_ports = {{ }}
component_ports = {{ }}
plugin_paths = {{ }}
modules_enabled = {{ {modules} }}
modules_disabled = {{ "s2s" }}
allow_registration = false
c2s_require_encryption = true
authentication = "internal_hashed"
storage = "internal"
{limits}
VirtualHost "{domain}"
  ssl = {{ certificate = "{folder}/tls/server.crt", key = "{folder}/tls/server.key" }}
"""
MODULES = ["disco", "roster", "saslauth", "tls", "blocklist", "pep", "ping", "private", "version", "time"]


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise AssertionError("%s: %s%s" % (command[0], done.stdout, done.stderr))


def make_certificates(tls):
    """An authority of its own, `ca.pem`, and the server's certificate and key, in a new folder."""
    tls.mkdir()
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    run("openssl", "req", "-x509", *key, "-keyout", tls / "ca.key", "-out", tls / "ca.pem", "-subj", "/CN=private CA",
        "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    run("openssl", "req", *key[:-2], "-keyout", tls / "server.key", "-out", tls / "server.csr", "-subj", "/CN=" + DOMAIN)
    extensions = tls / "server.ext"
    extensions.write_text("subjectAltName=DNS:%s\nextendedKeyUsage=serverAuth\n" % DOMAIN)
    run("openssl", "x509", "-req", "-in", tls / "server.csr", "-CA", tls / "ca.pem", "-CAkey", tls / "ca.key",
        "-CAcreateserial", "-days", "2", "-extfile", extensions, "-out", tls / "server.crt")


class Prosody:
    """`accounts` maps user names to passwords. `stanzas` writes every stanza that passes to a log (`stanza_log`).
    `rate` is what a server on the open network would allow a client, for example "10kb/s"; without it nothing is throttled."""

    def __init__(self, folder, accounts, stanzas=False, rate=None):
        self.folder, self.accounts, self.domain = folder / "prosody", dict(accounts), DOMAIN
        self.port = free_port()
        self.ca = self.folder / "tls" / "ca.pem"
        self.config = self.folder / "prosody.cfg.lua"
        self.stanza_log = self.folder / "prosody.stanzas.log"
        self._child = None
        (self.folder / "data").mkdir(parents=True)
        make_certificates(self.folder / "tls")
        modules = MODULES + (["stanza_debug"] if stanzas else []) + (["limits"] if rate else [])
        self.config.write_text(CONFIG.format(
            run_as_root="run_as_root = true" if os.geteuid() == 0 else "",
            folder=self.folder, port=self.port, domain=DOMAIN, level="debug" if stanzas else "info",
            modules=", ".join('"%s"' % name for name in modules),
            limits='limits = { c2s = { rate = "%s" } }' % rate if rate else ""))
        for user, password in self.accounts.items():
            self.register(user, password)

    @property
    def address(self):
        return "127.0.0.1:%d" % self.port

    def jid(self, user):
        return "%s@%s" % (user, self.domain)

    def register(self, user, password):
        as_root = ["--root"] if os.geteuid() == 0 else []
        run("prosodyctl", "--config", self.config, *as_root, "register", user, self.domain, password)
        self.accounts[user] = password

    def start(self):
        self._child = Child("server", ["prosody", "-F", "--config", self.config], self.folder)

        def ready():
            if not self._child.running:
                raise AssertionError(self._child.describe())
            return can_connect(self.port)
        until(ready, 15, lambda: "XMPP server: " + self._child.describe())
        return self

    def stop(self):
        if self._child is not None:
            self._child.stop()
            self._child = None

    def passed(self):
        """All that went through the server, as text; for `stanzas` only."""
        return self.stanza_log.read_text(errors="replace")

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
