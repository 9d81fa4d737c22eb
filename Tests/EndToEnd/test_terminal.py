"""What people see and type: terminals of 80 columns, full disks, addresses and numbers as they come, words of failures."""
import shlex
import signal
import socket
import threading

import pytest
from homes.home import Home
from homes.terminal import at_terminal, closed_pipe, into


@pytest.fixture(scope="module")
def bus(module_folder):
    with Home(module_folder, "bus") as home:
        home.write_config().up()
        home.host("Peer")
        yield home


def pasted(home, hint, **options):
    """Runs a command as a person pastes it from a hint."""
    words = shlex.split(hint)
    assert words[0] == "qimesh", hint
    return home.cli(*words[1:], **options)


# --- terminals

def test_listing_fits_into_eighty_columns_and_cuts_nothing(bus):
    answer = at_terminal(bus, "ls").ok()
    assert all(len(line) <= 80 for line in answer.out.splitlines()), str(answer)
    endpoints = [url for row in bus.cli("ls", "--json").ok().json["services"] for url in row["endpoints"]]
    assert endpoints and all(url in answer.out for url in endpoints) and "\u2026" not in answer.out


def test_status_never_shows_a_time_before_there_were_computers(home, server_that_is_gone):
    home.write_config(xmpp=[{"jid": "x@mesh.test", "password-file": str(server_that_is_gone), "server": "127.0.0.1:1"}]).up()
    answer = at_terminal(home, "status").ok()
    assert "x@mesh.test" in answer.out, str(answer)
    assert not [word for word in answer.out.split() if word.rstrip("d").isdigit() and word.endswith("d") and len(word) > 4], str(answer)


@pytest.fixture
def server_that_is_gone(home):
    secret = home.folder / "pw"
    secret.touch(mode=0o600)
    secret.write_text("\ufeffsecret\r\n\r\n")
    return secret


@pytest.mark.parametrize("verb", ["", "up", "call", "trust", "policy test", "pair", "enroll", "audit"])
def test_help_fits_into_eighty_columns(bus, verb):
    answer = at_terminal(bus, "help", *verb.split()).ok()
    lines = answer.out.splitlines()
    assert len(lines) > 5 and all(len(line) <= 80 for line in lines), str(answer)


# --- full disks and readers that go

@pytest.mark.parametrize("arguments", [("ls",), ("help",), ("version",), ("call", "Peer.echo_string", "x"), ("ls", "--json"), ("frob", "--json")])
def test_full_disk_is_said(bus, arguments):
    answer = into(bus, "/dev/full", *arguments)
    assert answer.code != 0 and answer.code == (1 if arguments[0] != "frob" else answer.code), str(answer)
    assert "No space left on device" in answer.err and len(answer.err.splitlines()) == 1, str(answer)


@pytest.mark.parametrize("arguments", [("ls",), ("help",), ("info", "Peer"), ("ls", "--json")])
def test_reader_that_has_gone_ends_a_command_silently(bus, arguments):
    answer = into(bus, closed_pipe(), *arguments)
    assert answer.code == -signal.SIGPIPE and answer.err == "", str(answer)


# --- verbs and hints

def test_unknown_verb_is_called_so(bus):
    plain = bus.cli("services")
    assert plain.code == 2 and 'there is no verb "services"' in plain.err, str(plain)
    told = bus.cli("statsu", "--json")
    assert told.code == 2 and told.error["code"] == "usage" and "did you mean status?" in told.error["message"], str(told)
    assert pasted(bus, told.error["hint"]).ok().json["ok"]
    assert bus.cli("help", "statsu").code == 2


def test_hints_can_be_pasted(bus):
    for arguments in (("call", "Per.echo_string", "x"), ("call", "Zzz.echo_string", "x"), ("info", "Peer.no_such_member"), ("ls", "--url", bus.url, "zzz/")):
        failed = bus.cli(*arguments, "--json")
        assert failed.code in (2, 3, 5), str(failed)
        if failed.error["hint"] and failed.error["hint"].startswith("qimesh "):
            # It is understood, whatever it then finds.
            assert pasted(bus, failed.error["hint"]).code != 2, str(failed)


# --- addresses

def test_addresses_as_people_type_them(bus):
    wanted = set(bus.services())
    for url in ("127.0.0.1:%d" % bus.port, "localhost:%d" % bus.port, "tcp://localhost:%d/" % bus.port, "TCP://127.0.0.1:%d" % bus.port,
                str(bus.unix_socket), "unix://%s" % bus.unix_socket):
        rows = bus.cli("ls", "--url", url, "--json").ok().json["services"]
        assert {row["name"] for row in rows} == wanted, url
        assert {row["name"] for row in bus.cli("ls", url, "--json").ok().json["services"]} == wanted, url
    assert bus.call("localhost:%d/Peer.echo_int32" % bus.port, 5) == 5
    assert bus.call("%s/Peer.echo_int32" % bus.unix_socket, 5) == 5


@pytest.mark.parametrize("url", ["http://127.0.0.1", "tcp://h:x", "tcp://a b", "unix:relative"])
def test_what_is_no_address_is_said(bus, url):
    answer = bus.cli("ls", "--url", url, "--json")
    assert answer.code == 2 and url in answer.error["message"] and "tcp://HOST:PORT" in answer.error["message"], str(answer)


# --- numbers

@pytest.mark.parametrize("typed, value", [("0x1F", 31), ("+5", 5), ("1_000", 1000), ("007", 7), ("1e3", 1000), ("-0x10", -16)])
def test_integers_in_every_usual_spelling(bus, typed, value):
    assert bus.cli("call", "Peer.echo_int32", typed, "--json").ok().json["result"] == value


@pytest.mark.parametrize("typed, value", [(".5", 0.5), ("-.5", -0.5), ("5.", 5), ("+1.5e3", 1500), ("0x10", 16), ("NaN", "NaN")])
def test_decimals_in_every_usual_spelling(bus, typed, value):
    assert bus.cli("call", "Peer.echo_double", typed, "--json").ok().json["result"] == value


@pytest.mark.parametrize("typed", ["0x1F", "007", "1_000", "5", "true", "NaN"])
def test_what_a_text_is_wanted_for_is_sent_as_typed(bus, typed):
    assert bus.cli("call", "Peer.echo_string", typed, "--json").ok().json["result"] == typed


@pytest.mark.parametrize("method, typed", [("echo_double", "abc"), ("echo_double", ""), ("echo_int32", "abc"), ("echo_int32", "99999999999")])
def test_what_a_number_is_wanted_for_and_is_none_is_wrong_usage(bus, method, typed):
    answer = bus.cli("call", "Peer." + method, typed, "--json")
    assert answer.code == 2 and "Peer." + method in answer.error["message"], str(answer)
    assert bus.cli("set", "Peer.volume", "abc", "--json").code == 2


def test_files_as_editors_leave_them(bus, folder):
    text = folder / "value.json"
    text.write_bytes(b'\xef\xbb\xbf{"a":\r\n1}\r\n\r\n')
    assert bus.cli("call", "Peer.echo_settings", "@%s" % text, "--json").ok().json["result"] == {"a": 1}
    missing = bus.cli("call", "Peer.echo_settings", "@%s/none" % folder, "--json")
    assert missing.code == 2 and "there is no file" in missing.error["message"], str(missing)


def test_configuration_as_editors_leave_it(home):
    home.config.parent.mkdir(parents=True)
    home.config.write_bytes(("\ufeffinternal:\r\n  listen: [\"unix:%s\", \"localhost:%d/\"]\r\n\r\n" % (home.unix_socket, home.port)).encode())
    (home.config.parent / "policy.yaml").write_bytes("\ufeffrules:\r\n  - who: everyone\r\n    allow: [\"*\"]\r\n".encode())
    home.up()
    assert home.cli("policy", "show", "--json").ok().json["rules"]
    assert home.cli("ls", "--url", "localhost:%d" % home.port).code == 0


# --- connections that fail

@pytest.mark.parametrize("url, words", [
    ("tcp://127.0.0.1:1", "Connection refused"), ("no-such-host.invalid", "the name no-such-host.invalid is not known"),
    ("unix:/nonexistent.sock", "No such file or directory")])
def test_an_address_without_listener_is_told_in_the_words_of_the_system(bus, url, words):
    answer = bus.cli("ls", "--url", url, "--json")
    assert answer.code == 5 and words in answer.error["message"], str(answer)
    assert not [word for word in ("NIO", "Error(", "Optional", ".swift") if word in answer.out], str(answer)


def test_a_door_that_speaks_no_tls_is_said_without_the_insides_of_libraries(bus):
    answer = bus.cli("ls", "--url", "tcps://127.0.0.1:%d" % bus.port, "--json")
    assert answer.code in (4, 5) and "127.0.0.1:%d" % bus.port in answer.error["message"], str(answer)
    assert not [word for word in ("BoringSSL", "OPENSSL", ".cc", "error:", "NIO") if word in answer.error["message"]], str(answer)


def test_a_peer_that_says_nothing_is_a_deadline(bus):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        accepted = []
        threading.Thread(target=lambda: accepted.append(silent.accept()), daemon=True).start()
        answer = bus.cli("ls", "--url", "127.0.0.1:%d" % silent.getsockname()[1], "--timeout", "1", "--json")
        for connection, _ in accepted:
            connection.close()
    assert answer.code == 6 and answer.error["retryable"] is True, str(answer)
