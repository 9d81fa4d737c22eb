"""A private XMPP server of another make: ejabberd on loopback, with the same face as `Prosody`. Without federation or a
distributed Erlang: no epmd, no ejabberdctl (reference "xmpp" §3.5)."""
import glob
import json
import os
import urllib.request

import yaml

from .processes import Child, can_connect, free_port, until
from .prosody import DOMAIN, make_certificates

MODULES = ["mod_adhoc", "mod_blocking", "mod_caps", "mod_client_state", "mod_disco", "mod_http_api", "mod_last", "mod_offline",
           "mod_ping", "mod_privacy", "mod_private", "mod_stream_mgmt", "mod_version"]


class Ejabberd:
    """`accounts` maps user names to passwords. `shaped` has clients slowed down as ejabberd is shipped: 3000 bytes a second after a burst
    of 20 000; else nothing is throttled."""

    def __init__(self, folder, accounts, shaped=False):
        self.shaped = shaped
        self.folder, self.accounts, self.domain = folder / "ejabberd", {}, DOMAIN
        self._wanted = dict(accounts)
        self.port, self.api = free_port(), free_port()
        self.ca = self.folder / "tls" / "ca.pem"
        self._child = None
        self.folder.mkdir()
        make_certificates(self.folder / "tls")
        tls = self.folder / "tls"
        (tls / "server.pem").write_text((tls / "server.crt").read_text() + (tls / "server.key").read_text())
        (self.folder / "ejabberd.yml").write_text(yaml.safe_dump(self._config()))
        # Look-ups of server records fail at once.
        (self.folder / "inetrc").write_text('{lookup,[file]}.\n{resolv_conf,""}.\n{nameserver,{127,0,0,1}}.\n{timeout,200}.\n{retry,1}.\n')

    def _config(self):
        return {
            "hosts": [self.domain],
            "loglevel": "info",
            "certfiles": [str(self.folder / "tls" / "server.pem")],
            "ca_file": str(self.ca),
            "auth_password_format": "scram",
            "disable_sasl_mechanisms": ["digest-md5", "X-OAUTH2"],
            "listen": [
                {"port": self.port, "ip": "127.0.0.1", "module": "ejabberd_c2s", "max_stanza_size": 262144,
                 "shaper": "c2s_shaper" if self.shaped else "none", "access": "all", "starttls_required": True},
                {"port": self.api, "ip": "127.0.0.1", "module": "ejabberd_http", "request_handlers": {"/api": "mod_http_api"}},
            ],
            "acl": {"local": {"user_regexp": ""}, "loopback": {"ip": ["127.0.0.0/8"]}},
            "access_rules": {"local": {"allow": "local"}},
            "api_permissions": {"loopback": {"who": {"ip": "127.0.0.0/8"}, "what": "*"}},
            "shaper": {"normal": {"rate": 3000, "burst_size": 20000}},
            "shaper_rules": {"c2s_shaper": "normal", "max_user_sessions": 10, "max_user_offline_messages": 100},
            "modules": {
                **{name: {} for name in MODULES},
                # As on public servers: five subscription stanzas pass, and then none until a minute after the last that did.
                "mod_pres_counter": {"count": 5, "interval": 60},
                "mod_roster": {"versioning": True},
                "mod_pubsub": {"plugins": ["flat", "pep"]},
            },
        }

    @property
    def address(self):
        return "127.0.0.1:%d" % self.port

    def jid(self, user):
        return "%s@%s" % (user, self.domain)

    def register(self, user, password):
        body = json.dumps({"user": user, "host": self.domain, "password": password}).encode()
        request = urllib.request.Request("http://127.0.0.1:%d/api/register" % self.api, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200, answer.read()
        self.accounts[user] = password

    def start(self):
        libraries = glob.glob("/usr/lib/*/ejabberd-*") or glob.glob("/usr/lib/erlang/lib/ejabberd-*")
        assert libraries, "ejabberd is not installed: apt-get install ejabberd"
        environment = {
            **os.environ, "HOME": str(self.folder), "ERL_LIBS": os.path.dirname(libraries[0]),
            "EJABBERD_CONFIG_PATH": str(self.folder / "ejabberd.yml"), "EJABBERD_LOG_PATH": str(self.folder / "ejabberd.server.log"),
            "ERL_INETRC": str(self.folder / "inetrc"), "ERL_CRASH_DUMP": "/dev/null",
        }
        self._child = Child("server", ["erl", "-noinput", "+K", "true", "-mnesia", "dir", '"%s"' % (self.folder / "db"), "-s", "ejabberd"],
                            self.folder, env=environment)

        def ready():
            if not self._child.running:
                raise AssertionError(self._child.describe())
            return can_connect(self.port) and can_connect(self.api)
        until(ready, 30, lambda: "XMPP server: " + self._child.describe())
        for user, password in self._wanted.items():
            self.register(user, password)
        self._wanted = {}
        return self

    def stop(self):
        if self._child is not None:
            self._child.stop()
            self._child = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
