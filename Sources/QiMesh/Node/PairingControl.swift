import Foundation
import Logging
import QiMessaging
import QiWire
import XMPP

/// The part of the control interface about who is a device of ours: pairing by token, ending access, and this device's own key.
final class PairingControl: ControlMembers {
    private let accounts: AccountSet
    private var gateways: [XMPPGateway] { accounts.gateways }
    private let server: DirectoryServer
    private let identity: CurrentIdentity
    private let trust: TrustStore
    private let enrollments: EnrollmentStore
    private let configuration: CurrentConfiguration
    /// What this device calls itself, empty for nothing.
    private var deviceName: String { configuration.value.device.name ?? "" }
    private let onRevoked: @Sendable (String) -> Void

    /// The longest a pairing waits for a device, and the longest a token lives.
    private static let longestWait: Int64 = 86_400
    private static let longestLife: Int64 = 1_800

    /// - Parameters:
    ///   - onRevoked: hears the bare address of a device whose access has ended.
    init(
        accounts: AccountSet, server: DirectoryServer, identity: CurrentIdentity, trust: TrustStore, enrollments: EnrollmentStore,
        configuration: CurrentConfiguration, onRevoked: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.accounts = accounts
        self.server = server
        self.identity = identity
        self.trust = trust
        self.enrollments = enrollments
        self.configuration = configuration
        self.onRevoked = onRevoked
    }

    func add(to builder: inout ObjectBuilder) {
        builder.advertiseSignal("pairing", "(ss)")
        builder.advertiseControl("enroll", "(ssl)") { [self] arguments, _ in
            try enroll(name: try arguments[0].text("name"), account: try arguments[1].text("account"), seconds: arguments[2].asInt ?? 0)
        }
        builder.advertiseControl("enrollments", "()") { [self] _, _ in listing }
        builder.advertiseControl("cancelEnrollment", "(s)") { [self] arguments, _ in try cancel(try arguments[0].text("id")) }
        builder.advertiseControl("pair", "(sssls)") { [self] arguments, context in
            let (name, account) = (try arguments[1].text("name"), try arguments[2].text("account"))
            let ticket = try arguments[4].text("ticket")
            return try await pair(
                try PairingInvitation(parsing: try arguments[0].text("token")), name: name, account: account, seconds: arguments[3].asInt ?? 0
            ) { step in
                do throws(QiError) {
                    try context.object.emit("pairing", [.string(ticket), .string(step)])
                } catch {
                    self.server.loop.logger.debug("a step of a pairing was not told", metadata: ["error": "\(error)"])
                }
            }
        }
        builder.advertiseControl("revoke", "(s)") { [self] arguments, _ in try await revoke(try arguments[0].text("device")) }
        builder.advertiseControl("rotateKey", "()") { [self] _, _ in try await rotateKey() }
    }

    // MARK: - Tokens of ours

    private func enroll(name: String, account: String, seconds: Int64) throws -> QiValue {
        let gateway = try gateway(of: account)
        guard (0...Self.longestLife).contains(seconds) else {
            throw QiError(.invalid, "a token lives between 1 s and 30 min, not \(seconds) s", hint: "without --valid it lives 10 min")
        }
        if !name.isEmpty { try gateways.requireFree(name, for: nil) }
        let (invitation, enrollment) = try gateway.enroll(
            name: name, lifetime: seconds == 0 ? nil : .seconds(seconds), ownName: deviceName)
        server.access?.record(
            AuditRecord(
                event: "enroll", principal: "owner", zone: .internal, target: enrollment.id, access: "enroll", isAllowed: true,
                path: "control interface"))
        return .dictionary([
            ("token", .string(invitation.text)), ("id", .string(enrollment.id)), ("jid", .string("\(gateway.own)")),
            ("fingerprint", .string("\(invitation.key)")), ("expires", .double(enrollment.expires.timeIntervalSince1970)),
            ("online", .bool(gateway.client.state.isOnline)),
        ])
    }

    private func cancel(_ id: String) throws -> QiValue {
        let count = try enrollments.cancel(id: id.isEmpty ? nil : id)
        guard count > 0 || id.isEmpty else {
            throw QiError(.notFound, "no token \(id) waits to be used", hint: "qimesh enroll --list")
        }
        return .dictionary([("cancelled", .int64(Int64(count)))])
    }

    private var listing: QiValue {
        let (enrollments, strangers, now) = enrollments.listing()
        return .dictionary([
            ("enrollments", .list(enrollments.map { Self.describe($0, now) })), ("strangers", .list(strangers.map(Self.describe))),
        ])
    }

    var status: [(String, QiValue)] {
        let (enrollments, strangers, now) = enrollments.listing()
        let attempts = (enrollments.flatMap(\.attempts) + strangers).sorted { $0.date < $1.date }
        return [
            (
                "pairing",
                .dictionary([
                    ("outstanding", .int64(Int64(enrollments.filter { $0.isOutstanding(at: now) }.count))),
                    ("refused", .list(attempts.suffix(8).map(Self.describe))),
                ])
            )
        ]
    }

    private static func describe(_ enrollment: Enrollment, _ now: Date) -> QiValue {
        var entries: [(String, QiValue)] = [
            ("id", .string(enrollment.id)), ("account", .string(enrollment.account)), ("name", .string(enrollment.name)),
            ("state", .string(enrollment.word(at: now))), ("created", .double(enrollment.created.timeIntervalSince1970)),
            ("expires", .double(enrollment.expires.timeIntervalSince1970)),
            ("refused", .list(enrollment.attempts.map(describe))),
        ]
        if case .used(let jid, let key, let date) = enrollment.state {
            entries += [
                ("usedBy", .string(jid)), ("usedKey", .string("\(key)")), ("usedAt", .double(date.timeIntervalSince1970)),
            ]
        }
        return .dictionary(entries)
    }

    private static func describe(_ attempt: Enrollment.Attempt) -> QiValue {
        .dictionary([
            ("jid", .string(attempt.jid)), ("fingerprint", .string("\(attempt.key)")), ("reason", .string(attempt.reason.rawValue)),
            ("told", .string(attempt.reason.told)), ("knewToken", .bool(attempt.knewToken)),
            ("at", .double(attempt.date.timeIntervalSince1970)),
        ])
    }

    // MARK: - Tokens of others

    private func pair(
        _ invitation: PairingInvitation, name: String, account: String, seconds: Int64, _ report: @escaping @Sendable (String) -> Void
    ) async throws -> QiValue {
        let gateway = try gateway(of: account)
        guard (1...Self.longestWait).contains(seconds) else {
            throw QiError(.invalid, "a pairing waits between 1 s and 24 h, not \(seconds) s")
        }
        if !name.isEmpty { try gateways.requireFree(name, for: invitation.jid) }
        let called = try await gateway.pair(invitation, name: name, deadline: .now + .seconds(seconds), report: report)
        return .dictionary([
            ("jid", .string("\(invitation.jid)")), ("name", .string(called)), ("fingerprint", .string("\(invitation.key)")),
            ("own", .string("\(gateway.own)")),
        ])
    }

    // MARK: - Ending access

    private func revoke(_ text: String) async throws -> QiValue {
        let jid = try gateways.address(of: text)
        let name = "\(jid)"
        let key = try trust.entry(jid: name)?.key
        // First what needs no server: from now on no key of the device is taken, then what runs ends.
        try trust.revoke(jid: name)
        server.dropDevice(name, QiError(.denied, "\(name) was revoked"))
        try enrollments.revoked(jid: name)
        onRevoked(name)
        var notes: [String] = []
        for gateway in gateways where gateway.knows(jid) || !gateway.client.state.isOnline {
            do throws(XMPPError) {
                try await gateway.unlist(jid)
            } catch {
                notes.append("\(gateway.own) is not online: \(name) leaves its contact list when it is")
            }
        }
        server.access?.record(
            AuditRecord(
                event: "revoke", principal: name, zone: .internet, target: key.map { "\($0)" } ?? "no key", access: "revoke", isAllowed: true,
                path: "control interface"))
        return .dictionary([
            ("jid", .string(name)), ("fingerprint", .string(key.map { "\($0)" } ?? "")), ("note", .string(notes.joined(separator: "; "))),
        ])
    }

    // MARK: - The own key

    private func rotateKey() async throws -> QiValue {
        let keys = try identity.rotate()
        // They name the old key.
        let cancelled = try enrollments.cancel(id: nil)
        let links = try await server.deviceLinks()
        let ending = QiError(.disconnected, "this device has a new key")
        for device in Set(links.outgoing.map(\.device) + links.incoming.map(\.device)) { server.dropDevice(device, ending) }
        server.access?.record(
            AuditRecord(
                event: "rotate-key", principal: "owner", zone: .internal, target: "\(keys.new)", access: "rotate", isAllowed: true,
                path: "control interface", detail: "instead of \(keys.old)"))
        return .dictionary([
            ("old", .string("\(keys.old)")), ("fingerprint", .string("\(keys.new)")),
            ("contacts", .list(try trust.entries().map { .string($0.jid) })), ("cancelledTokens", .int64(Int64(cancelled))),
            ("jids", .list(gateways.map { .string("\($0.own)") })),
        ])
    }

    // MARK: - Accounts

    /// The account of that address, or with no address the first that is online.
    private func gateway(of account: String) throws(QiError) -> XMPPGateway {
        if account.isEmpty {
            if let gateway = gateways.first(where: { $0.client.state.isOnline }) ?? gateways.first { return gateway }
            throw QiError(.notFound, "this node has no account", hint: "add one below xmpp: in qimesh.yaml, then send the node SIGHUP")
        }
        if let gateway = gateways.first(where: { $0.own == JID(account)?.bare }) { return gateway }
        let known = gateways.map { "\($0.own)" }.joined(separator: ", ")
        throw QiError(.notFound, "this node has no account \(account)", hint: "it has: \(known)")
    }
}
