/// Who calls the method that the current task serves: as its connection has proven, not as it says. Behind a gateway, or behind the
/// node when a device calls, it is who calls from outside: a process of the same user, or of root, on a unix socket is believed when
/// it says for whom it passes a call on. A service that its gateway reaches by TCP sees the gateway.
///
///     guard Caller.current?.jid?.domain == "lab.example" else { throw QiError.denied("home only") }
public struct Caller: Hashable, Sendable {
    public let principal: Principal
    /// How the call came in.
    public let origin: ConnectionOrigin

    /// Where the caller came in.
    public var zone: Zone { principal.zone }

    /// The address of a device, in its two parts.
    public struct Address: Hashable, Sendable, CustomStringConvertible {
        /// Before the `@`.
        public let local: String
        /// Behind it, the server.
        public let domain: String

        public var description: String { "\(local)@\(domain)" }
    }

    /// The bare JID, of a caller that is a device.
    public var jid: Address? {
        guard let parts = principal.jid?.split(separator: "@", maxSplits: 1), parts.count == 2 else { return nil }
        return Address(local: String(parts[0]), domain: String(parts[1]))
    }
}

extension QiError {
    /// What a method throws whose caller may not do that.
    public static func denied(_ message: String) -> QiError { QiError(.denied, message) }
}
