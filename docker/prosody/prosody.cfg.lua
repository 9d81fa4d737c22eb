-- The demonstration's server: one domain, mandatory TLS, no federation, no registration over the network.
pidfile = "/run/prosody/prosody.pid"
data_path = "/var/lib/prosody"
log = { info = "*console" }
interfaces = { "*" }
c2s_ports = { 5222 }
c2s_direct_tls_ports = { }
s2s_ports = { }
http_ports = { }
https_ports = { }
component_ports = { }
modules_enabled = { "disco", "roster", "saslauth", "tls", "blocklist", "pep", "ping", "private", "version", "time", "limits" }
modules_disabled = { "s2s" }
allow_registration = false
c2s_require_encryption = true
authentication = "internal_hashed"
storage = "internal"
-- What the two homes share is 20 times Debian's default, which public servers raise too.
limits = { c2s = { rate = "200kb/s" } }
VirtualHost "mesh.test"
  ssl = { certificate = "/var/lib/prosody/tls/server.crt", key = "/var/lib/prosody/tls/server.key" }
