"""Objects as arguments, in events and in properties between two devices, with unmodified libqi at both ends, and what is left of them."""
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
