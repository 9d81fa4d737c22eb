import NIOCore

/// A path that a device stream uses: an encrypted channel, and what is known of it.
struct StreamPath {
    let channel: any Channel
    let kind: PathKind
    /// What it lets through now.
    let width: @Sendable () -> PathWidth

    init(_ channel: any Channel, _ kind: PathKind, width: @escaping @Sendable () -> PathWidth = { .wide }) {
        self.channel = channel
        self.kind = kind
        self.width = width
    }

    /// Why an argument or a result of so many bytes is not sent this way; nil when it may be.
    func refusal(of what: String, bytes: Int) -> QiError? {
        // No bound is lower, and most are this short.
        guard bytes > 1000 else { return nil }
        let width = width()
        guard let most = width.most, bytes > most, let rate = width.rate, rate > 0, Double(bytes) / rate > Self.patience else { return nil }
        return QiError(
            .limit,
            "\(what) is \(Self.text(bytes)), too much for the path \(kind), which carries \(Self.text(Int(rate)))/s: about \(Duration.seconds(min(Double(bytes) / rate, 1e6)).text)",
            hint: "to find out why there is no better path: qimesh path DEVICE; or raise paths.in-band-max on the device that sends")
    }

    /// How long whatever is below the bound, or quicker than this, may take: the patience of our own calls.
    private static let patience = 10.0

    private static func text(_ bytes: Int) -> String {
        switch bytes {
        case ..<1000: "\(bytes) bytes"
        case ..<1_000_000: "\(Double(bytes / 100) / 10) kB"
        default: "\(Double(bytes / 100_000) / 10) MB"
        }
    }
}

/// A stream goes on over another path; told to the handlers above it.
struct StreamPathChanged {
    let kind: PathKind
}
