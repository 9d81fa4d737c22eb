import CFuzzer
import Glibc

/// `Fuzz TARGET [libFuzzer's arguments…]`, or `Fuzz seeds FIRST COUNT`. Ends 0 when no input was found that a target objects to.
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
        "exchange": ExchangeFuzz.run(_:),
        "stanzas": StanzaFuzz.run,
        "jingle": JingleFuzz.run,
        "socks5": SOCKS5Fuzz.run,
    ]
    /// libFuzzer's callback cannot carry it. Written once, before the loop.
    nonisolated(unsafe) static var target: ([UInt8]) throws -> Void = { _ in }

    static func main() {
        if CommandLine.arguments.dropFirst().first == "seeds" { exit(seeds(CommandLine.arguments.dropFirst(2).compactMap { UInt64($0) })) }
        guard let name = CommandLine.arguments.dropFirst().first, let found = targets[name] else {
            say("usage: Fuzz \(targets.keys.sorted().joined(separator: "|")) [ARGUMENT…] | seeds FIRST COUNT")
            exit(2)
        }
        target = found
        var count = CommandLine.argc - 1
        var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv + 1
        exit(LLVMFuzzerRunDriver(&count, &arguments) { data, size in Main.one(data, size) })
    }

    /// Runs of a device stream whose steps a seed gives (``ExchangeFuzz``): so many, from that seed.
    private static func seeds(_ numbers: [UInt64]) -> CInt {
        guard numbers.count == 2, numbers[0] <= .max - numbers[1] else {
            say("usage: Fuzz seeds FIRST COUNT")
            return 2
        }
        for seed in numbers[0]..<numbers[0] + numbers[1] {
            do {
                try ExchangeFuzz.run(seed: seed)
            } catch {
                say("found: \(error)")
                return 1
            }
        }
        say("\(numbers[1]) runs from seed \(numbers[0]): nothing found")
        return 0
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
