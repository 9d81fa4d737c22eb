"""Fixtures of the end-to-end tests. They start real peers and fail when they cannot: nothing here is skipped."""
import pathlib
import shutil
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
sys.dont_write_bytecode = True

from homes.contact import Contact, befriend  # noqa: E402
from homes.home import Home, meet  # noqa: E402
from homes.processes import new_scratch  # noqa: E402
from homes.prosody import Prosody  # noqa: E402

ACCOUNTS = {"pepper": "pepper-secret", "desk": "desk-secret", "carol": "carol-secret", "mallory": "mallory-secret"}


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if outcome.get_result().failed:
        item.session.stash.setdefault(FAILED, []).append(item.nodeid)


FAILED = pytest.StashKey()


class Scratch:
    """Makes the folders of a test run; they go when nothing failed."""

    def __init__(self):
        self.folders = []

    def new(self):
        self.folders.append(new_scratch("qm"))
        return self.folders[-1]


@pytest.fixture(scope="session")
def scratch(request):
    folders = Scratch()
    yield folders
    if request.session.stash.get(FAILED, None):
        print("\nlogs are kept in " + " ".join(map(str, folders.folders)))
    else:
        for folder in folders.folders:
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def folder(scratch):
    return scratch.new()


@pytest.fixture(scope="module")
def module_folder(scratch):
    return scratch.new()


@pytest.fixture
def home(folder):
    """One home without an account, not yet up."""
    with Home(folder, "lonely") as one:
        yield one


@pytest.fixture(scope="module")
def server(module_folder):
    """A server of the module's own that writes down every stanza."""
    with Prosody(module_folder, ACCOUNTS, stanzas=True) as prosody:
        yield prosody


@pytest.fixture(scope="module")
def pepper(module_folder, server):
    with Home(module_folder, "pepper") as home:
        home.write_account(server, "pepper").let_contacts_do_everything(server).up().wait_online()
        yield home


@pytest.fixture(scope="module")
def desk(module_folder, server):
    with Home(module_folder, "desk") as home:
        home.write_account(server, "desk").let_contacts_do_everything(server).up().wait_online()
        yield home


@pytest.fixture(scope="module")
def met(pepper, desk, server):
    """`(pepper, desk)`, contacts of each other, with the test service `Peer` on pepper."""
    meet(desk, pepper, server)
    pepper.host("Peer")
    return pepper, desk


@pytest.fixture
def contact(server, pepper):
    """Carol: a person with mutual subscription to pepper."""
    with Contact(server, "carol") as carol:
        befriend(carol, pepper, server)
        yield carol


@pytest.fixture
def stranger(server):
    """Mallory: has an account on the same server and nobody's consent."""
    with Contact(server, "mallory") as mallory:
        yield mallory
