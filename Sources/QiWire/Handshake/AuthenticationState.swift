/// How far authentication has come, the value of `__qi_auth_state` (reference §10).
public enum AuthenticationState: UInt32, Hashable, Sendable {
    /// Refused.
    case error = 1
    /// Another round is wanted.
    case proceed = 2
    /// The connection is open.
    case done = 3
}

extension Capabilities {
    /// The state in this map: of any integer type, for older peers send `i`. Nil when absent or none of the three.
    public var authenticationState: AuthenticationState? {
        self[Name.authenticationState]?.value.asUInt32.flatMap { AuthenticationState(rawValue: $0) }
    }

    /// This map with the state appended.
    public func with(_ state: AuthenticationState) -> Capabilities {
        var copy = self
        copy[Name.authenticationState] = QiDynamic(.uint32(state.rawValue))
        return copy
    }

    /// This map without credentials.
    var withoutCredentials: Capabilities {
        var copy = self
        for entry in entries where entry.name.hasPrefix(Name.credentialPrefix) { copy[entry.name] = nil }
        return copy
    }

    /// The credentials in this map, without their prefix.
    public var credentials: [String: QiDynamic] {
        var found: [String: QiDynamic] = [:]
        for entry in entries where entry.name.hasPrefix(Name.credentialPrefix) {
            found[String(entry.name.dropFirst(Name.credentialPrefix.count))] = entry.value
        }
        return found
    }
}
