import QiMessaging
import QiWire

/// A part of the node's control interface.
protocol ControlMembers: Sendable {
    /// Adds its members.
    func add(to builder: inout ObjectBuilder)
    /// What it adds to `status`.
    var status: [(String, QiValue)] { get }
}

extension ControlMembers {
    var status: [(String, QiValue)] { [] }
}

extension ObjectBuilder {
    /// Adds a member whose errors begin with their code and end with what to do, `offline: … (try: …)`: an Error of the bus is a
    /// text, and the command line has to choose its exit code by it.
    mutating func advertiseControl(_ name: String, _ parameters: Signature, _ body: @escaping ObjectBuilder.Method) {
        advertiseMethod(name, parameters, returns: "m") { arguments, context in
            do {
                return try await body(arguments, context)
            } catch let error as QiError {
                throw QiError(.remote, Self.text(error.code.controlWord, error.message, error.hint))
            } catch let error as MeshError {
                throw QiError(.remote, Self.text(error.code.description, error.message, error.hint))
            }
        }
    }

    private static func text(_ code: String, _ message: String, _ hint: String?) -> String {
        // A message may quote what a device said; what follows the last bracket is ours, if only to say that there is no advice.
        "\(code): \(message)" + (hint.map { " (try: \($0))" } ?? (message.contains("(try: ") ? " (try: )" : ""))
    }
}

extension QiValue {
    /// A map with string keys and values of any type, as a dynamic.
    static func dictionary(_ entries: [(String, QiValue)]) -> QiValue {
        .map(entries.map { QiMapEntry(key: .string($0.0), value: .dynamic(QiDynamic($0.1))) })
    }

    /// An argument that is a text.
    func text(_ label: String) throws(QiError) -> String {
        guard let text = asString else { throw QiError(.invalid, "the \(label) is no text") }
        return text
    }
}

extension QiError.Code {
    /// The code as the command line calls it: what is not valid here was typed wrong.
    fileprivate var controlWord: String { self == .invalid ? "usage" : word ?? "remote" }
}
