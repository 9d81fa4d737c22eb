import QiMesh
import QiMessaging

/// What a command is about: `[DEVICE/]Service[.member]` (reference "cli-and-config" §1).
///
/// DEVICE is the name that this node's owner gave, a JID that may carry a resource, or the URL of a directory. The last `/` ends the device.
/// Whether a dot in the rest begins the member or belongs to the service's name only the directory can tell; see
/// ``readings``.
struct Target: Hashable {
    /// Whose service, nil for the local device.
    var device: DeviceName?
    /// Everything behind the device, as typed.
    var rest: String

    /// One way to understand the part behind the device.
    struct Reading: Hashable {
        /// The service's name.
        var service: String
        /// The member, nil for the service as a whole. May be a full name, `say::(s)`, or hold `*`.
        var member: String?
    }

    /// The longest text looked at, in bytes; libqi's names are far shorter.
    static let lengthLimit = 4_096

    /// - Parameters:
    ///   - text: what was typed.
    ///   - device: the device of `--device`, used when the text names none.
    /// - Throws: `usage` when no service is named.
    init(_ text: String, device: DeviceName? = nil) throws(CommandFailure) {
        guard text.utf8.count <= Self.lengthLimit else { throw .usage("a target of \(text.utf8.count) bytes is no name") }
        let nameEnd = Self.signatureStart(in: text) ?? text.endIndex
        guard let slash = text[..<nameEnd].lastIndex(of: "/") else {
            guard text.lowercased() == "localhost" || !Endpoint.isAddress(text) else {
                throw .usage("\"\(text)\" names a directory but no service: \(text)/SERVICE")
            }
            self.device = device
            rest = text
            try Self.check(rest, text)
            return
        }
        let named = String(text[..<slash])
        rest = String(text[text.index(after: slash)...])
        // `tcp://10.0.0.5:9559`, `unix:/run/sd.sock/`: the slash belongs to the address.
        guard !named.hasSuffix(":/"), !named.hasSuffix(":"), !(rest.isEmpty && Endpoint.isAddress(named)) else {
            throw .usage("\"\(text)\" names a directory but no service: \(named.hasSuffix(":/") ? text : named)/SERVICE")
        }
        self.device = try DeviceName(named)
        try Self.check(rest, text)
    }

    /// What follows `::` is a signature, and its annotations may hold anything; within brackets it is a part of an IPv6 address.
    private static func signatureStart(in text: String) -> String.Index? {
        text.ranges(of: "::").first { range in
            let before = text[..<range.lowerBound]
            return before.filter { $0 == "[" }.count <= before.filter { $0 == "]" }.count
        }?.lowerBound
    }

    private static func check(_ rest: String, _ text: String) throws(CommandFailure) {
        guard !rest.isEmpty, rest.first != "." else {
            throw .usage("\"\(text)\" names no service: [DEVICE/]Service[.member]", hint: "qimesh ls")
        }
    }

    /// How the text may be meant, in the order to try: a service of the whole name wins over a member of a shorter one.
    var readings: [Reading] {
        let whole = Reading(service: rest, member: nil)
        guard let split = split else { return [whole] }
        // No service's name holds a `::`.
        return rest.firstRange(of: "::") == nil ? [whole, split] : [split]
    }

    /// The reading with a member, nil when nothing separates one.
    var split: Reading? {
        let nameEnd = rest.firstRange(of: "::")?.lowerBound ?? rest.endIndex
        guard let dot = rest[..<nameEnd].lastIndex(of: ".") else { return nil }
        let member = rest[rest.index(after: dot)...]
        guard !member.isEmpty else { return nil }
        return Reading(service: String(rest[..<dot]), member: String(member))
    }

    /// The reading of a command that is about a member.
    /// - Throws: `usage` when none is named.
    func requireMember(_ kind: String) throws(CommandFailure) -> Reading {
        guard let split else {
            let whole = (device.map { $0.text + "/" } ?? "") + rest
            throw .usage("\"\(rest)\" names no \(kind): \(rest).\(kind.uppercased())", hint: "qimesh info \(word: whole)")
        }
        return split
    }

    /// The name to look up in the directory asked: that of the local node takes `DEVICE/Service`.
    func lookUpName(of service: String) -> String {
        guard case .contact(let name) = device else { return service }
        return "\(name)/\(service)"
    }
}
