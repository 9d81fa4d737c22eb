import Logging
import Synchronization
import Testing

@testable import QiMeshCLI

@Suite struct PrintableTests {
    @Test(arguments: [
        ("plain text", "plain text"), ("héllo 世界 😀 שלום", "héllo 世界 😀 שלום"), ("a\u{1B}[2J\u{7}b", "a\\x1b[2J\\x07b"),
        ("a\r\nb\tc", "a\\r\\nb\\tc"), ("\u{9B}31m\u{85}", "\\x9b31m\\x85"), ("\u{7F}", "\\x7f"),
        ("a\u{202E}b\u{2066}c\u{200F}\u{61C}", "a\\u{202e}b\\u{2066}c\\u{200f}\\u{61c}"), ("na\u{200B}o", "na\\u{200b}o"),
        ("\u{FEFF}x\u{2060}\u{AD}", "\\u{feff}x\\u{2060}\\xad"), ("\u{2028}\u{2029}", "\\u{2028}\\u{2029}"),
        ("\u{3164}\u{2800}\u{E0041}", "\\u{3164}\\u{2800}\\u{e0041}"),
        // Accents are text; a tower of them is not.
        ("e\u{301}\u{302}", "e\u{301}\u{302}"),
        ("e" + String(repeating: "\u{301}", count: 6), "e\u{301}\u{301}\u{301}\u{301}\\u{301}\\u{301}"),
    ])
    func whatIsNoTextIsMadeVisible(_ text: String, _ shown: String) {
        // By scalars: two strings that look alike are equal in Swift.
        #expect(Array(Printable.line(text).unicodeScalars) == Array(shown.unicodeScalars))
        #expect(Printable.line(shown) == shown, "an escaped text stays as it is")
    }

    @Test func longTextsAreCutByBytesWithAMark() {
        #expect(Printable.line("abcdef", limit: 6) == "abcdef")
        #expect(Printable.line("abcdefg", limit: 6) == "abcdef… (1 bytes more)")
        // Not inside of a character, nor of an escape.
        #expect(Printable.line("aéé", limit: 4) == "aé… (2 bytes more)")
        #expect(Printable.line("ab\u{1B}c", limit: 5) == "ab… (2 bytes more)")
        #expect(Printable.line(String(repeating: "x", count: 1 << 20), limit: 100).utf8.count < 150)
    }

    /// Valid JSON, the same value, and nothing that a terminal obeys.
    @Test func jsonEscapesWhatTerminalsObey() {
        #expect(JSONValue.string("a\u{1B}\u{9B}\u{202E}\u{200B}é\u{E0041}").text == #""a\u001b\u009b\u202e\u200bé\udb40\udc41""#)
    }

    // MARK: Logs

    private final class Lines: TextOutputStream, Sendable {
        private let text = Mutex("")
        var all: String { text.withLock { $0 } }
        func write(_ string: String) { text.withLock { $0 += string } }
    }

    private func logged(_ body: (Logger) -> Void) -> String {
        let lines = Lines()
        body(Logger(label: "test") { PrintableLogHandler(StreamLogHandler(label: $0, stream: lines)) })
        return lines.all
    }

    @Test func everyEventIsOneLine() {
        let evil = "x\n2026-01-01 error qimesh: forged\u{1B}[2J\u{202E}"
        let text = logged { logger in
            var logger = logger
            logger[metadataKey: "own\n"] = "\(evil)"
            logger.warning(
                "said: \(evil)",
                metadata: ["name": "\(evil)", "list": ["\(evil)", .dictionary(["key\u{7}": .stringConvertible(Evil(text: evil))])]])
            logger.error("failed", error: Evil(text: evil), metadata: [:])
        }
        #expect(text.split(separator: "\n").count == 2, "\(text)")
        #expect(!text.unicodeScalars.contains { $0 != "\n" && Printable.isHidden($0) }, "\(text)")
        #expect(text.contains("own\\n=") && text.contains("x07"))
    }

    @Test func aValueIsNotTakenForSeveral() {
        let text = logged { $0.info("m", metadata: ["name": "x xmpp.peer.jid=op@lab", "plain": "y", "quote": "a\"b"]) }
        #expect(text.contains(#"name="x xmpp.peer.jid=op@lab" plain=y quote="a\"b""#), "\(text)")
    }

    /// A backslash of the text's own must not undo the one before the quotation mark.
    @Test func aBackslashEndsNoQuotation() {
        let text = logged { $0.info("m", metadata: ["name": #"x\" xmpp.peer.jid=op@lab"#, "path": #"C:\x"#]) }
        #expect(text.contains(##"name="x\\\" xmpp.peer.jid=op@lab" path=C:\x"##), "\(text)")
    }

    @Test func whatIsLongIsCut() {
        let long = String(repeating: "y", count: 1 << 20)
        let text = logged { $0.info("\(long)", metadata: ["name": "\(long)", "\(long)": "z"]) }
        #expect(text.utf8.count < 5_000)
    }

    private struct Evil: Error, CustomStringConvertible {
        let text: String
        var description: String { text }
    }
}
