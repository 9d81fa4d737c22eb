/// A host and a TCP port, written `host:port` or `[IPv6]:port`.
public struct HostPort: Hashable, Sendable, LosslessStringConvertible {
    /// A name, an IPv4 address, or an IPv6 address without brackets.
    public let host: String
    /// 1 to 65 535, or 0 where the system may choose.
    public let port: Int

    /// Reads the written form; `nil` for anything else, a port of 0 included.
    public init?(_ description: String) { self.init(description, allowingPortZero: false) }

    init?(_ text: String, allowingPortZero: Bool) {
        guard text.utf8.count <= 300, let colon = text.lastIndex(of: ":") else { return nil }
        let digits = text[text.index(after: colon)...]
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = Int(digits),
            ((allowingPortZero ? 0 : 1)...65_535).contains(port)
        else { return nil }
        var host = text[..<colon]
        if host.first == "[" {
            guard host.last == "]", host.dropFirst().dropLast().contains(":") else { return nil }
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty, !host.utf8.contains(where: { $0 <= 0x20 || $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "@") })
        else {
            return nil
        }
        self.host = String(host)
        self.port = port
    }

    /// The written form.
    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
