import CFuzzer
import Glibc

/// `Fuzz TARGET [libFuzzer's arguments…]`. Ends 0 when no input was found that a target objects to.
@main
enum Main {
    static let targets: [String: @Sendable ([UInt8]) throws -> Void] = [
        "decoder": DecoderFuzz.run,
        "values": ValueFuzz.run,
        "signature": SignatureFuzz.run,
        "handshake": HandshakeFuzz.run,
        "directory": DirectoryFuzz.run,
        "sequence": SequenceFuzz.run,
        "stream": StreamFuzz.run,
        "stanzas": StanzaFuzz.run,
        "jingle": JingleFuzz.run,
        "socks5": SOCKS5Fuzz.run,
    ]
    /// libFuzzer's callback cannot carry it. Written once, before the loop.
    nonisolated(unsafe) static var target: ([UInt8]) throws -> Void = { _ in }

    static func main() {
        guard let name = CommandLine.arguments.dropFirst().first, let found = targets[name] else {
            say("usage: Fuzz \(targets.keys.sorted().joined(separator: "|")) [ARGUMENT…]")
            exit(2)
        }
        target = found
        var count = CommandLine.argc - 1
        var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv + 1
        exit(LLVMFuzzerRunDriver(&count, &arguments) { data, size in Main.one(data, size) })
    }

    private static func say(_ text: String) {
        let line = Array("\(text)\n".utf8)
        write(STDERR_FILENO, line, line.count)
    }

    static func one(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
        do {
            try target(Array(UnsafeBufferPointer(start: data, count: size)))
        } catch {
            say("found: \(error)")
            abort()
        }
        return 0
    }
}

/// libFuzzer's own main refers to it; ours takes that one's place.
@_cdecl("LLVMFuzzerTestOneInput")
public func unusedEntry(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt { Main.one(data, size) }
