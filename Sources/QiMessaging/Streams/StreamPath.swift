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
    ///
    /// It is refused when it would take longer than the caller waits, as far as the path's rate is known. What is not longer than the
    /// path's own bound (`paths.in-band-max`) is not refused, unless the caller has said how long a result it accepts.
    func refusal(of what: String, bytes: Int, under terms: CallTerms? = nil, at now: NIODeadline) -> QiError? {
        // No bound is lower, and most are this short.
        guard bytes > 1000 else { return nil }
        let width = width()
        guard let most = width.most, bytes > most || terms?.mostBytes != nil, let rate = width.rate, rate > 0 else { return nil }
        let patience = terms?.end.map { Double(($0 - now).nanoseconds) / 1e9 } ?? Self.patience
        let time = Double(bytes) / rate
        guard time > patience else { return nil }
        let wait = terms?.end == nil ? "" : ", and the caller waits \(Duration.seconds(max(patience.rounded(), 0)).text)"
        let about = Duration.seconds(min(time.rounded(.up), 1e6)).text
        return QiError(
            .limit,
            "\(what) is \(SizeText.of(bytes)), too much for the path \(kind), which carries \(SizeText.of(Int(rate)))/s: "
                + "about \(about)\(wait)",
            hint: "`qimesh path` with the device tells why there is no better path; options --max-size and --timeout of a call accept "
                + "more, as does paths.in-band-max on the device that sends")
    }

    /// How long whatever is above the bound may take for a caller that does not say how long it waits: the patience of our own calls.
    private static let patience = 10.0
}

/// A stream goes on over another path; told to the handlers above it.
struct StreamPathChanged {
    let kind: PathKind
}
