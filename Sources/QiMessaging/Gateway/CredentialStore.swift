/// Knows some of those who may come in by a name and a secret: users with a token, remote applications with a session id.
public protocol CredentialStore: Sendable {
    /// Whose these are; nil when nobody's here. Takes as long for a wrong token as for a right one, and for a name that it does not
    /// know. Called on event loops: does not wait for anything.
    func identity(of credentials: Credentials) -> Principal.Identity?

    /// Whether somebody whose credentials were right may stay. Asked once a second for everybody who is connected; true also for
    /// whoever is not of this store.
    func isStillGood(_ identity: Principal.Identity) -> Bool
}
