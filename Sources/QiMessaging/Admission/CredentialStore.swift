/// Knows some of those who may come in by a name and a secret: users with a token, remote applications with a session id.
public protocol CredentialStore: Sendable {
    /// Whose these are, and which secret of theirs; nil when this store has no such pair. Takes as long for a wrong token as for a right
    /// one, and for a name that it does not know. Called on event loops: does not wait for anything.
    func proof(of credentials: Credentials) -> CredentialProof?

    /// Whether a client whose credentials were right may stay: not once its secret was taken away or replaced. Asked once a second for
    /// every client that is connected; true also for an identity that is not of this store.
    func isStillGood(_ proof: CredentialProof) -> Bool
}

extension CredentialStore {
    /// Whose these are; nil when this store has no such pair.
    public func identity(of credentials: Credentials) -> Principal.Identity? { proof(of: credentials)?.identity }
}
