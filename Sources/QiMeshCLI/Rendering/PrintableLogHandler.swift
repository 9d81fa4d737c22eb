import Logging

/// Makes every event one line of text before another handler writes it: libraries log what peers say as it is.
///
/// The message and each value and key of the metadata are escaped by ``Printable`` and cut; a value that could be taken for several is
/// put in quotes.
struct PrintableLogHandler: LogHandler {
    private var inner: any LogHandler

    private static let messageLimit = 2_048
    private static let valueLimit = 1_024
    private static let countLimit = 64
    private static let depthLimit = 4

    init(_ inner: any LogHandler) { self.inner = inner }

    /// Where commands and nodes log: stderr.
    static func standardError(label: String, level: Logger.Level) -> PrintableLogHandler {
        var handler = PrintableLogHandler(StreamLogHandler.standardError(label: label))
        handler.logLevel = level
        return handler
    }

    var logLevel: Logger.Level {
        get { inner.logLevel }
        set { inner.logLevel = newValue }
    }

    var metadata: Logger.Metadata {
        get { inner.metadata }
        set { inner.metadata = Self.printable(newValue, 0) }
    }

    var metadataProvider: Logger.MetadataProvider? {
        get { inner.metadataProvider }
        set { inner.metadataProvider = newValue.map { provider in Logger.MetadataProvider { Self.printable(provider.get(), 0) } } }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { inner[metadataKey: key] }
        set { inner[metadataKey: Self.key(key)] = newValue.map { Self.printable($0, 0) } }
    }

    func log(event: LogEvent) {
        var event = event
        event.message = Logger.Message(stringLiteral: Printable.line(event.message.description, limit: Self.messageLimit))
        event.metadata = event.metadata.map { Self.printable($0, 0) }
        if let error = event.error {
            event.metadata = (event.metadata ?? [:]).merging(["error": .string(Self.text("\(error)"))]) { given, _ in given }
            event.error = nil
        }
        inner.log(event: event)
    }

    private static func printable(_ metadata: Logger.Metadata, _ depth: Int) -> Logger.Metadata {
        var result: Logger.Metadata = [:]
        for (name, value) in metadata.sorted(by: { $0.key < $1.key }).prefix(countLimit) { result[key(name)] = printable(value, depth) }
        return result
    }

    private static func printable(_ value: Logger.Metadata.Value, _ depth: Int) -> Logger.Metadata.Value {
        guard depth < depthLimit else { return .string("…") }
        switch value {
        case .string(let text): return .string(Self.text(text))
        case .stringConvertible(let object): return .string(Self.text(object.description))
        case .dictionary(let metadata): return .dictionary(printable(metadata, depth + 1))
        case .array(let values): return .array(values.prefix(countLimit).map { printable($0, depth + 1) })
        @unknown default: return .string(Self.text("\(value)"))
        }
    }

    private static func key(_ name: String) -> String { Printable.line(name, limit: 128) }

    private static func text(_ text: String) -> String {
        let shown = Printable.line(text, limit: valueLimit)
        guard shown.contains(where: { $0 == " " || $0 == "=" || $0 == "\"" }) else { return shown }
        // The backslash first: else one that the text has itself would end the quotation.
        return "\"" + shown.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }
}
