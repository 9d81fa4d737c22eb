"""What `online`, `stale` and `offline` mean when processes hang, die and return, with a server that knows nothing of it."""
import json
import os
import signal
import time

import pytest

from homes.home import Home, meet
from homes.processes import until
from homes.prosody import Prosody

ACCOUNTS = {"pepper": "pepper-secret", "desk": "desk-secret"}


@pytest.fixture
def two(folder):
    """`(desk, pepper, server)`: two devices that know each other, on a server that writes down every stanza."""
    with Prosody(folder, ACCOUNTS, stanzas=True) as server, Home(folder, "pepper") as pepper, Home(folder, "desk") as desk:
        for home in (pepper, desk):
            home.write_account(server, home.name).let_contacts_do_everything(server).up().wait_online()
        meet(desk, pepper, server)
        yield desk, pepper, server
        if pepper.node is not None and pepper.node.running:
            os.kill(pepper.node.pid, signal.SIGCONT)


def row(home):
    return next(row for row in home.devices() if row["name"] == "pepper")


def test_a_stopped_device_is_stale_and_online_again_when_it_goes_on(two):
    desk, pepper, server = two
    assert row(desk)["rtt"] > 0
    os.kill(pepper.node.pid, signal.SIGSTOP)
    start = time.monotonic()
    stale = desk.wait_device("pepper", "stale", seconds=20)
    print("stale after %.1f s" % (time.monotonic() - start))
    os.kill(pepper.node.pid, signal.SIGCONT)
    start = time.monotonic()
    desk.wait_device("pepper", "online", seconds=10)
    print("online after %.1f s" % (time.monotonic() - start))
