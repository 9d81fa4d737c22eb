import Foundation

/// A token that was made here, and what became of it. Holds nothing a proof can be made from.
struct Enrollment: Hashable, Sendable {
    enum State: Hashable, Sendable {
        /// Nobody has used it yet.
        case outstanding
        /// That device is paired by it.
        case used(jid: String, key: KeyFingerprint, date: Date)
        /// The owner took it back, or made the device a new key.
        case cancelled(date: Date)
    }

    /// Somebody who was refused.
    struct Attempt: Hashable, Sendable {
        /// The bare address that tried.
        var jid: String
        /// The key it named.
        var key: KeyFingerprint
        var reason: PairingRefusal
        /// Whether it proved to know the secret.
        var knewToken: Bool
        var date: Date
    }

    /// Eight hexadecimal digits, for people; says nothing about the token.
    var id: String
    /// The bare address of the account it was made for.
    var account: String
    /// What the device that uses it shall be called here, empty for the part of its address before the `@`.
    var name: String
    var verifier: PairingVerifier
    var created: Date
    var expires: Date
    var state = State.outstanding
    /// The last refusals, the oldest first.
    var attempts: [Attempt] = []

    static let attemptLimit = 8

    func isOutstanding(at now: Date) -> Bool { state == .outstanding && !isExpired(at: now) }

    /// A clock that was set back, by more than a correction, must not lengthen a life.
    func isExpired(at now: Date) -> Bool { now >= expires || now < created - 60 }

    /// One word for listings.
    func word(at now: Date) -> String {
        switch state {
        case .outstanding: isExpired(at: now) ? "expired" : "outstanding"
        case .used: "used"
        case .cancelled: "cancelled"
        }
    }

    mutating func note(_ attempt: Attempt) {
        attempts.append(attempt)
        if attempts.count > Self.attemptLimit { attempts.removeFirst() }
    }
}
