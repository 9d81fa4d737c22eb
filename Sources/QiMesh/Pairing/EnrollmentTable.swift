import Foundation

/// The tokens that were made here, as a value: every rule about them, without file, lock or clock.
///
/// A token can be used once, for ten minutes. What became of it stays known for a day after that, so that whoever comes second is
/// told so, and the owner who it was.
struct EnrollmentTable: Equatable, Sendable {
    /// Tokens that nobody has used yet, at one time.
    static let outstandingLimit = 8
    /// Tokens remembered, used and expired ones included; the oldest goes first.
    static let limit = 64
    /// How long a token lives.
    static let lifetime: TimeInterval = 600
    /// How long it is remembered after its life.
    static let memory: TimeInterval = 86_400
    /// Wrong tries a minute, of everybody together, that are looked at (reference xmpp §6.3).
    static let wrongTriesPerMinute = 5

    private(set) var enrollments: [Enrollment] = []
    /// When the last few wrong tries were; not kept in the file.
    private var wrongTries: [Date] = []
    /// The last tries with tokens that were not made here; not kept in the file.
    private(set) var strangers: [Enrollment.Attempt] = []

    init(_ enrollments: [Enrollment] = []) { self.enrollments = Array(enrollments.suffix(Self.limit)) }

    /// Whether anybody may be told anything: otherwise a pairing request gets what every stranger gets.
    func isListening(account: String, at now: Date) -> Bool {
        enrollments.contains { $0.account == account && now < $0.expires + Self.memory }
    }

    /// What the file holds: an attempt by one who did not know the token is no reason to write.
    var proved: [Enrollment] {
        enrollments.map { enrollment in
            var enrollment = enrollment
            enrollment.attempts.removeAll { !$0.knewToken }
            return enrollment
        }
    }

    func outstanding(at now: Date) -> [Enrollment] { enrollments.filter { $0.isOutstanding(at: now) } }

    // MARK: - The owner

    /// Remembers a new token.
    /// - Throws: `tooLarge` when too many are outstanding.
    mutating func enroll(
        _ verifier: PairingVerifier, id: String, account: String, name: String, lifetime: TimeInterval = Self.lifetime, at now: Date
    ) throws(MeshError) -> Enrollment {
        forgetOld(at: now)
        guard outstanding(at: now).count < Self.outstandingLimit else {
            throw MeshError(
                .tooLarge, "\(Self.outstandingLimit) tokens wait to be used, which is the most there can be",
                hint: "qimesh enroll --list; then, to take one back: qimesh enroll --cancel ID")
        }
        let enrollment = Enrollment(
            id: id, account: account, name: name, verifier: verifier, created: now, expires: now + lifetime)
        enrollments.append(enrollment)
        if enrollments.count > Self.limit, let oldest = enrollments.firstIndex(where: { !$0.isOutstanding(at: now) }) {
            enrollments.remove(at: oldest)
        }
        return enrollment
    }

    /// Takes an outstanding token back, or with nil all of them. Returns how many there were.
    mutating func cancel(id: String?, at now: Date) -> Int {
        var count = 0
        for index in enrollments.indices
        where (id == nil || enrollments[index].id == id) && enrollments[index].isOutstanding(at: now) {
            enrollments[index].state = .cancelled(date: now)
            count += 1
        }
        return count
    }

    /// A device was revoked or denied: the token it used pairs it no more.
    mutating func revoked(jid: String, at now: Date) {
        for index in enrollments.indices {
            if case .used(jid, _, _) = enrollments[index].state { enrollments[index].expires = min(enrollments[index].expires, now) }
        }
    }

    // MARK: - Others

    /// What is to be done about an offer.
    enum Verdict: Equatable, Sendable {
        /// The token is right and unused: pair, then call ``use(_:by:key:at:)``.
        case accept(Enrollment)
        /// The device that used this token asks again, for it did not hear the answer.
        case acceptAgain(Enrollment)
        case refuse(PairingRefusal)
        /// Answer as a connection that does not exist.
        case ignore
    }

    /// Judges an offer that the account `jid` makes to `own`, whose key is `ownKey`. Notes a wrong try.
    mutating func judge(
        _ offer: PairingOffer, from jid: String, to own: PairingTranscript.Party, at now: Date
    ) -> Verdict {
        forgetOld(at: now)
        guard isListening(account: own.jid, at: now) else { return .ignore }
        guard let index = index(of: offer.handle, account: own.jid) else {
            // Who holds no token learns nothing unless one is waited for, and then only so often.
            guard enrollments.contains(where: { $0.account == own.jid && $0.isOutstanding(at: now) }), admitsWrongTry(at: now) else {
                return .ignore
            }
            strangers.append(.init(jid: jid, key: offer.key, reason: .unknown, knewToken: false, date: now))
            if strangers.count > Enrollment.attemptLimit { strangers.removeFirst() }
            return .refuse(.unknown)
        }
        let transcript = PairingTranscript(enrolling: own, pairing: .init(jid: jid, key: offer.key))
        let isProved = PairingProof.isValid(offer.proof, enrollments[index].verifier, transcript)
        guard let reason = refusal(of: enrollments[index], from: jid, offer.key, isProved, at: now) else {
            return enrollments[index].state == .outstanding ? .accept(enrollments[index]) : .acceptAgain(enrollments[index])
        }
        guard admitsWrongTry(at: now) else { return .ignore }
        enrollments[index].note(.init(jid: jid, key: offer.key, reason: reason, knewToken: isProved, date: now))
        return .refuse(reason)
    }

    private func refusal(
        of enrollment: Enrollment, from jid: String, _ key: KeyFingerprint, _ isProved: Bool, at now: Date
    ) -> PairingRefusal? {
        guard isProved else { return .wrongProof }
        switch enrollment.state {
        case .outstanding: return enrollment.isExpired(at: now) ? .expired : nil
        case .cancelled: return .cancelled
        case .used(let user, let userKey, _):
            // An answer that was lost is given again to the very same device, as long as the token would have lived.
            return user == jid && userKey == key && !enrollment.isExpired(at: now) ? nil : .used
        }
    }

    /// The device is paired. False when somebody else was faster.
    mutating func use(_ id: String, by jid: String, key: KeyFingerprint, at now: Date) -> Bool {
        guard let index = enrollments.firstIndex(where: { $0.id == id }), enrollments[index].isOutstanding(at: now) else { return false }
        enrollments[index].state = .used(jid: jid, key: key, date: now)
        return true
    }

    /// A token that was right was refused all the same.
    mutating func note(_ attempt: Enrollment.Attempt, of id: String) {
        guard let index = enrollments.firstIndex(where: { $0.id == id }) else { return }
        enrollments[index].note(attempt)
    }

    /// Looks at all tokens, so that the time taken tells nothing about them.
    private func index(of handle: [UInt8], account: String) -> Int? {
        var found: Int?
        for (index, enrollment) in enrollments.enumerated()
        where ConstantTime.areEqual(enrollment.verifier.handle, handle) && enrollment.account == account { found = index }
        return found
    }

    /// Whether a wrong try is looked at, and noted as one. Holders of a right token are not held up by others' wrong tries.
    private mutating func admitsWrongTry(at now: Date) -> Bool {
        wrongTries.removeAll { now.timeIntervalSince($0) >= 60 || $0 > now }
        guard wrongTries.count < Self.wrongTriesPerMinute else { return false }
        wrongTries.append(now)
        return true
    }

    private mutating func forgetOld(at now: Date) {
        enrollments.removeAll { now >= $0.expires + Self.memory }
    }
}
