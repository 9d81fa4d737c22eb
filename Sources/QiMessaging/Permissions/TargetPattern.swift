/// What an entry of a rule lists: `ALMotion.moveTo`, `ALMotion.*`, `*.get*`, `ALMotion` (all of it), `*`.
///
/// The last dot separates service and member, so a service whose name has dots is written with `.*` after it.
public struct TargetPattern: Hashable, Sendable, CustomStringConvertible, ExpressibleByStringLiteral {
    /// As written.
    public let description: String
    /// The line of its file.
    public var line: Int?
    let service: NameGlob
    let member: NameGlob
    /// The whole text, for names of services (`register`).
    let name: NameGlob

    /// nil for the empty text, and one with an empty service or member.
    public init?(_ text: String, line: Int? = nil) {
        guard let dot = text.lastIndex(of: ".") else {
            guard !text.isEmpty else { return nil }
            self.init(text, service: text, member: "*", line: line)
            return
        }
        let (service, member) = (text[..<dot], text[text.index(after: dot)...])
        guard !service.isEmpty, !member.isEmpty else { return nil }
        self.init(text, service: String(service), member: String(member), line: line)
    }

    /// For patterns that are written in a program.
    public init(stringLiteral text: String) {
        guard let pattern = TargetPattern(text) else { preconditionFailure("\"\(text)\" is not of the form Service.member") }
        self = pattern
    }

    private init(_ text: String, service: String, member: String, line: Int?) {
        description = text
        self.line = line
        self.service = NameGlob(service)
        self.member = NameGlob(member)
        name = NameGlob(text)
    }

    func covers(_ service: String, _ member: String) -> Bool { self.service.matches(service) && self.member.matches(member) }

    /// Whether every member of every service is covered.
    var isEverything: Bool { service.matchesAll && member.matchesAll }

    /// Whether everything of a service is covered.
    func coversAll(of service: String) -> Bool { member.matchesAll && self.service.matches(service) }
}
