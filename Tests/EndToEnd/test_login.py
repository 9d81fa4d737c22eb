"""Tokens go to the door that is meant: its key is pinned at the first login, as ssh does."""
import os
import pty
import shlex
import subprocess

import pytest
from homes.home import Home, binary
from homes.impostor import Impostor
from homes.keys import Key
from homes.processes import free_port, until


@pytest.fixture
def robot(folder):
    with Home(folder, "robot") as home:
        home.door_port = free_port()
        home.door = "tcps://127.0.0.1:%d" % home.door_port
        home.write_config(gateway={"listen": [home.door]})
        (home.config.parent / "policy.yaml").write_text("rules:\n  - { who: \"user:nao\", allow: [\"*\"] }\n")
        added = home.cli("user", "add", "nao", "--json").ok().json
        home.token, home.fingerprint = added["token"], added["fingerprint"]
        home.up().node.wait_log("gateway ready", seconds=20)
        yield home


@pytest.fixture
def desk(folder, robot):
    """A user elsewhere who was given the token."""
    with Home(folder, "desk") as home:
        token = home.folder / "token"
        token.touch(mode=0o600)
        token.write_text(robot.token + "\n")
        home.login = ["ls", "--url", robot.door, "--user", "nao", "--token-file", str(token)]
        home.known = home.folder / ".local/state/qimesh/known-doors"
        yield home


def typed(home, hint, **options):
    """Types what a command said to try."""
    words = shlex.split(hint)
    assert words[0] == "qimesh", hint
    return home.cli(*words[1:], **options)


def at_a_terminal(home, answer, *arguments):
    """(exit status, what was shown) of a command at a terminal, whose question gets this answer."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([binary(), *arguments], env=home.env, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    shown = b""

    def asked():
        nonlocal shown
        shown += os.read(ours, 4096)
        return b"Type yes" in shown
    until(asked, 20, lambda: "question in %r" % shown)
    os.write(ours, answer.encode() + b"\n")
    out, _ = process.communicate(timeout=30)
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    return process.returncode, out.decode() + shown.decode()


def test_a_first_login_needs_the_key_that_the_owner_sees(robot, desk):
    first = desk.cli(*desk.login, "--json")
    assert first.code == 4 and first.error["code"] == "trust", str(first)
    assert robot.fingerprint in first.error["message"] and "no token was sent" in first.error["message"]
    assert not desk.known.exists()
    assert robot.cli("status", "--json").ok().json["gatewayKey"] == robot.fingerprint
    assert robot.fingerprint in robot.cli("status").ok().out
    assert [row["name"] for row in typed(desk, first.error["hint"]).ok().json["services"]] == ["ServiceDirectory"]
    assert desk.known.stat().st_mode & 0o777 == 0o600
    # From now on it is known.
    assert desk.cli(*desk.login).ok().err == ""


def test_a_person_at_a_terminal_is_asked(robot, desk):
    code, shown = at_a_terminal(desk, "no", *desk.login)
    assert code == 4 and robot.fingerprint in shown and not desk.known.exists(), shown
    code, shown = at_a_terminal(desk, "yes", *desk.login)
    assert code == 0 and "ServiceDirectory" in shown, shown
    assert desk.cli(*desk.login).ok().err == ""


def test_another_key_is_refused_and_gets_nothing(robot, desk):
    desk.cli(*desk.login, "--fingerprint", robot.fingerprint).ok()
    robot.down()
    with Impostor(robot.door_port, Key(desk.folder, "other")) as impostor:
        refused = desk.cli(*desk.login, "--json")
        assert refused.code == 4 and refused.error["code"] == "trust", str(refused)
        assert robot.fingerprint in refused.error["message"] and "is not what it was" in refused.error["message"], str(refused)
        with_key = desk.cli(*desk.login, "--fingerprint", robot.fingerprint)
        assert with_key.code == 4 and "is not what it was" in with_key.err, str(with_key)
        assert robot.fingerprint in desk.known.read_text()
        assert impostor.connections >= 2 and impostor.heard == b"", impostor.heard
        # That the impostor hears at all is seen by a token sent on purpose.
        desk.cli(*desk.login, "--insecure", "--timeout", "2s")
        assert robot.token.encode() in impostor.heard


def test_a_first_login_at_an_impostor_tells_it_nothing(robot, desk):
    robot.down()
    with Impostor(robot.door_port, Key(desk.folder, "other")) as impostor:
        for more in ([], ["--fingerprint", robot.fingerprint]):
            assert desk.cli(*desk.login, *more, "--json").error["code"] == "trust"
        assert impostor.connections >= 2 and impostor.heard == b"", impostor.heard


def test_to_send_it_unchecked_is_a_word_to_type(robot, desk):
    unchecked = desk.cli(*desk.login, "--insecure").ok()
    assert "ServiceDirectory" in unchecked.out and "whatever answers" in unchecked.err, str(unchecked)
    assert not desk.known.exists()
    assert desk.cli(*desk.login).code == 4
