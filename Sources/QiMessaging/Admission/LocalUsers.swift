import Glibc

/// Whose programs on this machine may use a listener: where the kernel tells the user at the other end of a TCP connection. root always
/// may.
public enum LocalUsers: Hashable, Sendable {
    /// The user of this process.
    case own
    /// These, by user id.
    case these(Set<UInt32>)

    func contains(_ user: UInt32) -> Bool {
        switch self {
        case .own: user == 0 || user == geteuid()
        case .these(let users): user == 0 || users.contains(user)
        }
    }
}
