import NIOCore

/// What a caller accepts of the answer to one call: it is told to the nodes that pass the call on, and to the one that answers.
struct CallTerms: Hashable {
    /// The longest result, in bytes; nil: as long as the configuration of the node that sends it says.
    var mostBytes: Int?
    /// When the caller waits no longer; nil: not known.
    var end: NIODeadline?

    /// Why a result of so many bytes is not sent, by whatever path; nil when it may be.
    func refusal(ofResult bytes: Int) -> QiError? {
        guard let mostBytes, bytes > mostBytes else { return nil }
        return QiError(
            .limit, "the result is \(SizeText.of(bytes)), and the caller accepts \(SizeText.of(mostBytes))",
            hint: "to accept more: option --max-size of the call")
    }
}
