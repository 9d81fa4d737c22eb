"""The workshop's own ground: what the other tests stand on is right."""
import xml.etree.ElementTree as ET

from homes.contact import Contact, caps_hash, condition
from homes.home import Home, failures


def test_caps_hash_of_the_standard():
    """XEP-0115 §5.2, the simple example."""
    query = ET.fromstring("""<query xmlns='http://jabber.org/protocol/disco#info'>
        <identity category='client' name='Exodus 0.9.1' type='pc'/>
        <feature var='http://jabber.org/protocol/caps'/>
        <feature var='http://jabber.org/protocol/disco#info'/>
        <feature var='http://jabber.org/protocol/disco#items'/>
        <feature var='http://jabber.org/protocol/muc'/></query>""")
    assert caps_hash(query) == "QgayPKawpkPSDYmwT/WM94uAlu0="


def test_server_keeps_strangers_apart_and_writes_stanzas_down(server):
    with Contact(server, "carol") as carol, Contact(server, "mallory") as mallory:
        answer = mallory.request("get", server.jid("carol") + "/nobody", "<query xmlns='urn:example:secret-word'/>")
        assert condition(answer) == ("cancel", "service-unavailable")
        mallory.fence()
        assert not carol.received_from(mallory.bare)
    assert "urn:example:secret-word" in server.passed()


def test_battery_is_right_about_libqi_itself(folder):
    """The same checks between libqi peers alone: what fails here would be the battery's fault, not the node's."""
    with Home(folder, "libqi") as home:
        directory = home.peer("directory", "--leash", "--listen", home.url)
        assert directory.wait_line() == home.url
        service = home.host("Peer")
        checks = home.battery("--url", home.url)
        assert failures(checks) == [] and len(checks) == 18
        watcher = home.peer("client", "--url", home.url, "--until-removed", name="watcher")
        watcher.wait_line(lambda line: "attached" in line)
        service.kill()
        assert watcher.wait_end() == 0, watcher.lines()
