"""Objects as arguments, in events and in properties between two devices, with unmodified libqi at both ends, and what is left of them.

What libqi's Python lets go of is what it passed as an argument of a call. It keeps what its methods returned, what it emitted and what it put
into a property, whoever holds that, also between two processes of one machine: what becomes of those is in `PassedObjectTests`.
"""
import json

import pytest
import yaml
from homes.home import Home, binary, meet
from homes.processes import free_port, until
from homes.prosody import Prosody


class Passer:
    """A `passer.py` in some home."""

    def __init__(self, home, role, *arguments, url=None, name=None):
        self.child = home.peer("passer", role, "--url", url or home.url, *arguments, name=name or role)
        self.child.wait_line(lambda line: json.loads(line) == {"answer": "ready"})

    def do(self, what, *arguments, seconds=60):
        answer = self.child.ask(json.dumps({"do": what, "arguments": arguments}), seconds)
        assert "error" not in answer, "%s: %s" % (what, answer["error"])
        return answer["answer"]

    def fail(self, what, *arguments, seconds=60):
        return self.child.ask(json.dumps({"do": what, "arguments": arguments}), seconds)["error"]


@pytest.fixture(scope="module")
def homes(pepper, desk, server):
    meet(desk, pepper, server)
    return pepper, desk


@pytest.fixture
def keeper(homes):
    """The service, on pepper."""
    passer = Passer(homes[0], "serve")
    yield passer
    passer.child.stop()
    until(lambda: "Keeper" not in homes[0].services(), 20, "end of Keeper")


@pytest.fixture
def user(homes, keeper):
    """Its client, on desk."""
    passer = Passer(homes[1], "use")
    yield passer
    passer.child.stop()


def test_a_passed_object_is_called_back(user, keeper):
    assert user.do("keep", 3) == [1, 2, 3]
    assert keeper.do("ask", "hello") == ["thing %d called with hello" % number for number in range(3)]
    assert user.do("call", "ask", "again") == ["thing %d called with again" % number for number in range(3)]
    assert user.do("alive", 3) == 3
    keeper.do("drop")
    assert user.do("alive", 0) == 0


def test_both_sides_use_what_the_other_passed(user, keeper):
    """The service passes an object of its own to what it was passed, uses what that returns, and follows its signal and property."""
    assert user.do("passing", "give") == "thing took: own called with take"
    assert user.do("passing", "follow") == ["one", "three", "two", "calmer"]
    assert user.do("nested") == ["a called with list", "b called with deep", "c called with pair"]
    assert user.do("alive", 0) == 0 and keeper.do("alive", 0) == 0
    assert user.do("passing", "fetch") == "thing/child called with fetch"


def test_objects_in_events_and_properties_both_ways(user, keeper):
    assert user.do("emit", "sent") == ["sent called with event"]
    user.do("listen")
    keeper.do("announce", "told")
    assert user.do("heard", 1) == ["told called with listener"]
    user.do("set", "left")
    assert user.do("get") == "left called with property"
    keeper.do("show", "right")
    assert user.do("get") == "right called with property"


def test_an_object_of_a_call_that_fails_is_released(user, homes):
    assert "not today" in user.fail("passing", "refuse", "not today")
    # Refused by the policy of pepper's node, which alone knows the object then.
    policy = homes[0].config.parent / "policy.yaml"
    before = policy.read_text()
    domain = json.loads(before)["rules"][0]["who"]
    policy.write_text(json.dumps({"rules": [{"who": domain, "deny": ["Keeper.keep"]}, *json.loads(before)["rules"]]}))
    try:
        homes[0].cli("policy", "reload").ok()
        assert "denied" in user.fail("keep", 1)
    finally:
        policy.write_text(before)
        homes[0].cli("policy", "reload").ok()
    assert user.do("alive", 0) == 0


@pytest.mark.parametrize("killed", ["user", "keeper"])
def test_nothing_is_left_of_a_process_that_is_killed(user, keeper, killed):
    user.do("keep", 2)
    user.do("passing", "give")
    if killed == "user":
        user.child.kill()
        until(lambda: all(answer.startswith("error: ") for answer in keeper.do("ask", "still there?")), 20, "end of what was passed")
        answers = keeper.do("ask", "still there?")
        assert len(answers) == 2 and all("an object passed to" in answer for answer in answers), answers
    else:
        keeper.child.kill()
        assert user.do("alive", 0) == 0


def test_through_a_tunnel_that_shows_plain_names(homes, keeper):
    url = "tcp://127.0.0.1:%d" % free_port()
    tunnel = homes[1].start("tunnel", [binary(), "tunnel", "pepper", "--listen", url])
    until(lambda: homes[1].cli("ls", "--url", url, "--json").code == 0, 30, lambda: "tunnel: " + tunnel.describe())
    user = Passer(homes[1], "use", "--service", "Keeper", url=url, name="tunnelled")
    assert user.do("keep", 2) == [1, 2]
    assert user.do("passing", "give") == "thing took: own called with take"
    assert user.do("alive", 2) == 2
    keeper.do("drop")
    assert user.do("alive", 0) == 0
    user.child.stop()
    tunnel.stop()


def test_a_device_that_is_started_again_holds_nothing_of_before(homes, keeper, user):
    pepper, desk = homes
    user.do("keep", 2)
    pepper.node.kill()
    pepper.up(name="node-again").wait_online()
    assert user.do("alive", 0, seconds=90) == 0
    again = Passer(pepper, "serve", name="serve-again")
    until(lambda: "Keeper" in desk.services("pepper"), 40, "Keeper on the device that was started again")
    other = Passer(desk, "use", name="use-again")
    assert other.do("keep", 1) == [1]
    assert again.do("ask", "new") == ["thing 0 called with new"]
    for passer in (again, other):
        passer.child.stop()


def test_a_path_that_comes_back_keeps_objects_and_one_that_does_not_releases_them(folder):
    """In-band alone, and streams that live for 20 s without a path."""
    with Prosody(folder, {"pepper": "pepper-secret", "desk": "desk-secret"}) as server:
        with Home(folder, "pepper") as pepper, Home(folder, "desk") as desk:
            for home in (pepper, desk):
                home.write_account(server, home.name)
                content = yaml.safe_load(home.config.read_text())
                home.write_config(xmpp=content["xmpp"], paths={"order": ["in-band"], "resume": "20s"})
                home.let_contacts_do_everything(server).up().wait_online()
            meet(desk, pepper, server)
            keeper, user = Passer(pepper, "serve"), Passer(desk, "use")
            user.do("keep", 2)
            server.stop()
            server.start()
            for home in (pepper, desk):
                home.wait_online()
            assert keeper.do("ask", "back")[0] == "thing 0 called with back"
            assert user.do("alive", 2) == 2
            server.stop()
            assert user.do("alive", 0, seconds=90) == 0
            answers = keeper.do("ask", "gone")
            assert len(answers) == 2 and all(answer.startswith("error: ") for answer in answers), answers
