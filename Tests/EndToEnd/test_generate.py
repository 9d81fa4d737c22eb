"""`qimesh gen`: what it prints of live services compiles, whoever serves them."""
import subprocess

from homes.home import PYTHON
from homes.processes import ROOT

SERVICE = '''
import sys
import qi

class Speech:
    """Says what it is told."""
    def say(self, text):
        """Says a text."""
        return "said " + text
    def anything(self, *arguments):
        return len(arguments)

@qi.multiThreaded()
class Typed:
    def __init__(self):
        self.moved = qi.Signal("(s(ff))")
        self.volume = qi.Property("i")
    @qi.bind(qi.List(qi.Float), [qi.String, qi.Int32], "spread")
    def spread(self, name, count):
        return [1.0] * count
    @qi.bind(qi.Void, [qi.Map(qi.String, qi.Dynamic), qi.Object], "take")
    def take(self, values, other):
        pass

session = qi.Session()
session.connect(sys.argv[1])
session.registerService("Speech", Speech())
session.registerService("Typed-Service", Typed())
print("ready", flush=True)
sys.stdin.read()
'''

USE = '''
func use(_ speech: SpeechProxy, _ typed: TypedServiceProxy) async throws {
    let said: QiValue = try await speech.say(.string("hi"))
    let spread = try await typed.spread("a", 3)
    for try await (name, place) in try await typed.moved.events() { print(said, spread, name, place) }
    try await typed.volume.set(3)
}
'''


def typecheck(folder, *sources):
    """Compiles against the build's own modules, as a user's module that imports QiMessaging alone."""
    build = ROOT / ".build/debug"
    made = (path for path in build.glob("*.build/module.modulemap") if not path.parent.name.endswith("-tool.build"))
    maps = [*made, *(ROOT / ".build/checkouts").glob("**/include/module.modulemap")]
    command = ["swiftc", "-typecheck", "-swift-version", "6", "-warnings-as-errors", "-parse-as-library", "-I", build / "Modules",
               "-load-plugin-executable", "%s#QiMeshMacros" % (build / "QiMeshMacros-tool"),
               *("-Xcc -fmodule-map-file=%s" % path for path in maps)]
    command = " ".join(map(str, command)).split() + [str(source) for source in sources]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_protocols_of_python_services_compile(home):
    home.write_config().up()
    script = home.folder / "typed.py"
    script.write_text(SERVICE)
    home.start("typed", [PYTHON, script, home.url]).wait_line(lambda line: line == "ready", 30, "ready")
    text = home.cli("gen", "Speech", "Typed-Service", "-u", home.url).ok().out
    assert "@Service protocol Speech {" in text and '@Service("Typed-Service") protocol TypedService {' in text, text
    assert "func spread(_ argument0: String, _ argument1: Int32) async throws -> [Float]" in text, text
    assert "//     anything::mm" in text, text
    source, use = home.folder / "Generated.swift", home.folder / "Use.swift"
    source.write_text(text)
    use.write_text("import QiMessaging\n" + USE)
    typecheck(home.folder, source, use)


def test_every_language_and_form(home):
    home.write_config().up()
    swift = home.cli("gen", "ServiceDirectory", "-u", home.url, "--json").ok().json
    assert swift["language"] == "swift" and "@Service protocol ServiceDirectory {" in swift["text"]
    assert "@QiStruct struct ServiceInfo {" in swift["text"]
    idl = home.cli("gen", "ServiceDirectory", "-u", home.url, "--lang", "idl").ok().out
    assert "interface ServiceDirectory\n\tfn machineId() -> str //uid:108\n" in idl, idl
    source = home.folder / "Directory.swift"
    source.write_text(swift["text"])
    typecheck(home.folder, source)


def test_what_cannot_be_generated_is_said(home):
    home.write_config().up()
    assert home.cli("gen", "Missing", "-u", home.url, "--json").error["code"] == "not-found"
    assert home.cli("gen", "ServiceDirectory.services", "-u", home.url, "--json").error["code"] == "usage"
    assert home.cli("gen", "ServiceDirectory", "--lang", "cobol").code == 2
