package import QiMessaging

/// What the control interface answers: a value, or why there is none. The bus carries an error as a text, which cannot be taken apart
/// again; this one is a value.
@QiStruct package struct Answer<Value: QiConvertible & Sendable>: Sendable {
    private var value: Value?
    private var failure: NodeFailure?

    /// The result of `body`, or what it threw.
    init(_ body: () async throws -> Value) async {
        do { value = try await body() } catch { failure = NodeFailure(MeshError(ofControl: error)) }
    }

    /// The value.
    ///
    /// - Throws: what went wrong on the node, with its causes as texts.
    package func get() throws(MeshError) -> Value {
        if let value { return value }
        throw failure?.error ?? MeshError(.violation, "the node answered neither a value nor an error")
    }
}

/// A ``MeshError`` as it crosses the control interface.
@QiStruct struct NodeFailure: Hashable, Sendable {
    /// The word of its code.
    var code: String
    var message: String
    var hint: String?
    /// Milliseconds until the same is granted, where a limit told.
    var retryAfter: Int?
    /// What led to it, the nearest first.
    var causes: [String]

    init(_ error: MeshError) {
        code = "\(error.code)"
        message = error.message
        hint = error.hint
        retryAfter = error.retryAfter.map { Int($0 / .milliseconds(1)) }
        causes = error.causes
    }

    /// The error again. A code of a later version counts as `remote`.
    var error: MeshError {
        var error = MeshError(
            MeshError.Code(word: code) ?? .remote, message, hint: hint, cause: causes.isEmpty ? nil : ToldCauses(texts: causes))
        error.retryAfter = retryAfter.map { .milliseconds($0) }
        return error
    }
}

extension String {
    /// Nil for the empty text, which on a command line and in older tables means that there is none.
    package var nilIfEmpty: String? { isEmpty ? nil : self }
}

// MARK: - Keys

/// Who this device is to others.
@QiStruct package struct OwnIdentity: Hashable, Sendable {
    package var name: String
    package var fingerprint: String
    package var deviceID: String
    package var jids: [String]
}

/// The new key of this device.
@QiStruct package struct RotatedKey: Hashable, Sendable {
    package var old: String
    package var fingerprint: String
    /// Those that have to accept the new key.
    package var contacts: [String]
    /// How many pairing tokens named the old key, and are worth nothing now.
    package var cancelledTokens: Int
    package var jids: [String]
}

/// The keys of a contact. Times are seconds since 1970.
@QiStruct package struct ContactKey: Hashable, Sendable {
    package var jid: String
    package var pinned: String?
    /// Another key that it showed.
    package var refused: String?
    /// Whether no key is taken.
    package var revoked: Bool
    package var firstSeen: Double?
    package var lastSeen: Double?
}

/// A key that was pinned.
@QiStruct package struct AcceptedKey: Hashable, Sendable {
    package var jid: String
    package var fingerprint: String
}

/// A contact whose key was forgotten.
@QiStruct package struct ForgottenKey: Hashable, Sendable {
    package var jid: String
    /// Whether a key was pinned.
    package var known: Bool
}

// MARK: - Pairing

/// A token that lets one device in. Times are seconds since 1970.
@QiStruct package struct MadeToken: Hashable, Sendable {
    package var token: String
    package var id: String
    package var jid: String
    package var fingerprint: String
    package var expires: Double
    /// Whether the account is connected, as it has to be when the token is used.
    package var online: Bool
}

/// Tokens of the last day, and attempts that no token of ours belongs to.
@QiStruct package struct EnrollmentListing: Hashable, Sendable {
    package var enrollments: [EnrollmentRow]
    package var strangers: [RefusedAttempt]
}

/// A token and what became of it.
@QiStruct package struct EnrollmentRow: Hashable, Sendable {
    package var id: String
    package var account: String
    /// What the device that uses it will be called.
    package var name: String?
    package var state: String
    package var created: Double
    package var expires: Double
    package var refused: [RefusedAttempt]
    /// Which device used it.
    package var use: EnrollmentUse?
}

/// The use of a token.
@QiStruct package struct EnrollmentUse: Hashable, Sendable {
    package var usedBy: String
    package var usedKey: String
    package var usedAt: Double
}

/// An attempt to pair that was refused.
@QiStruct package struct RefusedAttempt: Hashable, Sendable {
    package var jid: String
    package var fingerprint: String
    package var reason: String
    /// The reason in words.
    package var told: String
    package var knewToken: Bool
    package var at: Double
}

/// How many tokens were taken back.
@QiStruct package struct CancelledTokens: Hashable, Sendable {
    package var cancelled: Int
}

/// A device that this one has paired with.
@QiStruct package struct PairedDevice: Hashable, Sendable {
    package var jid: String
    package var name: String
    package var fingerprint: String
    /// The account of ours.
    package var own: String
}

/// A device whose access has ended.
@QiStruct package struct RevokedDevice: Hashable, Sendable {
    package var jid: String
    /// The key that was pinned.
    package var fingerprint: String?
    /// What its owner should know.
    package var note: String?
}

// MARK: - Applications

/// An application that was installed.
@QiStruct package struct AppInstallation: Hashable, Sendable {
    package var name: String
    /// Its session id, which is shown this once.
    package var session: String
    package var approved: Bool
    package var description: String
    package var rules: [RuleRow]
}

/// An installed application. Times are seconds since 1970.
@QiStruct package struct AppRow: Hashable, Sendable {
    package var name: String
    package var description: String
    package var approved: Bool
    package var installedAt: Double
    package var approvedAt: Double?
    package var rules: [RuleRow]
}

/// An application whose access was changed.
@QiStruct package struct NamedApp: Hashable, Sendable {
    package var name: String
}

// MARK: - Groups

/// A group of devices that offer the same services, as this node uses it.
@QiStruct package struct GroupRow: Hashable, Sendable {
    package var name: String
    /// Why it cannot be used at all.
    package var trouble: String?
    /// Ordered by name.
    package var members: [GroupMemberRow]
}

/// A device of a group.
@QiStruct package struct GroupMemberRow: Hashable, Sendable {
    /// What this node's owner calls it; its address when it has no name.
    package var name: String
    /// Its bare address, or the full one of one program of several.
    package var jid: String
    /// Whether it is there, as far as is known.
    package var online: Bool
    /// Of an open tunnel.
    package var path: String?
    /// There and back over the stream, in milliseconds.
    package var rtt: Double?
    /// How it stands, by service that is in use: `ready`, `away`, `stopping`, `no such service`, `another interface`.
    package var services: [String: String]
    /// Calls of this node that wait for its answer.
    package var calls: Int
    /// Calls of the group's services that it has answered since the node started, and those that it may have run and has not answered.
    package var answered: Int
    package var lost: Int
    /// Proxies that stay with it.
    package var proxies: Int
}
