/// Whose credentials a client presented, and which of the secrets that this identity has had.
public struct CredentialProof: Hashable, Sendable {
    public let identity: Principal.Identity
    /// Tells one secret of the identity from the next, such as its digest; never the secret.
    public let version: [UInt8]

    public init(_ identity: Principal.Identity, version: [UInt8] = []) {
        self.identity = identity
        self.version = version
    }
}

extension CredentialProof: CustomStringConvertible {
    public var description: String { identity.description }
}
