import NIOCore
@testable import QiMessaging
import QiWire
import Testing

/// Sends what one side of a recorded conversation sent, and expects what the other side answered.
struct Replay {
    let endpoint: Endpoint
    let name: String
    /// Which frames are sent: those of these directions, to these services.
    var directions: Set<String> = ["client->sd", "host->sd"]
    var services: Set<UInt32> = [0, 1]
    /// Which connection of ours stands for a recorded one; by default each for itself.
    var connections: [Int: Int] = [:]
    /// Answers that differ for a reason: message id, reason.
    var skipped: [UInt32: String] = [:]
    /// What the application does on its own at a comment.
    var onComment: (String) async throws -> Void = { _ in }

    private final class Link {
        let client: RawClient
        var expectedEvents: [(ActionAddress, QiValue)] = []
        var events: [(ActionAddress, QiValue)] = []
        init(_ client: RawClient) { self.client = client }
    }

    /// Runs the conversation; answers how many calls were compared.
    func run() async throws -> Int {
        let entries = try RecordedVectors.conversation(name)
        var answers: [Int: [UInt32: (Message, Signature)]] = [:]
        for entry in entries {
            guard let hex = entry.hex, let connection = entry.connection else { continue }
            let message = try frame(hex)
            if message.kind.isAnswer {
                let text = message.kind == .reply && message.flags.contains(.dynamicPayload) ? "m" : entry.payloadSignature ?? "v"
                answers[connection, default: [:]][message.id] = (message, try Signature(text))
            }
        }
        var links: [Int: Link] = [:]
        var compared = 0
        for entry in entries {
            if let comment = entry.comment { try await onComment(comment) }
            guard let recorded = entry.connection, let direction = entry.direction else { continue }
            let number = connections[recorded] ?? recorded
            if entry.tcp != nil, directions.contains(direction) {
                // Ends with the other's own end, so that what follows happens after it.
                try await links[number]?.client.hangUp()
                continue
            }
            guard let hex = entry.hex else { continue }
            let message = try frame(hex)
            if message.kind == .event, services.contains(message.address.service) {
                guard let link = links[number] else { continue }
                link.expectedEvents.append((message.address, try message.value(Signature(entry.payloadSignature ?? "()")).canonical))
                continue
            }
            guard directions.contains(direction), services.contains(message.address.service), !message.kind.isAnswer else { continue }
            // A second authentication on a connection of ours would be answered differently.
            if message.address == .authenticate, links[number] != nil { continue }
            if links[number] == nil { links[number] = Link(try await RawClient(endpoint)) }
            guard let link = links[number] else { continue }
            guard message.kind == .call, let (expected, signature) = answers[recorded]?[message.id] else {
                try await link.client.send(message)
                continue
            }
            if entries.cancels(message.id) {
                try await link.client.send(message)
                continue
            }
            let given = try await link.client.call(message) { take($0, link) }
            if skipped[message.id] == nil { try compare(given, expected, signature) }
            compared += 1
        }
        for (number, link) in links {
            _ = try? await link.client.call(
                ActionAddress(.serviceDirectory, action: WellKnownActions.machineID), id: 0xFFFF_0004, others: { take($0, link) })
            let ours = link.events.map { "\($0)" }.sorted()
            #expect(ours == link.expectedEvents.map { "\($0)" }.sorted(), "\(name), events on connection \(number)")
        }
        for link in links.values { try? await link.client.close() }
        return compared
    }

    private func take(_ message: Message, _ link: Link) {
        guard message.kind == .event else { return }
        let signature = message.address.service == 1
            ? "(Is)" : RecordedVectors.eventSignatures[name]?[message.address.action] ?? "()"
        do {
            link.events.append((message.address, try message.value(signature).canonical))
        } catch {
            Issue.record("\(name): event \(message.address): \(error)")
        }
    }

    private func compare(_ given: Message, _ expected: Message, _ signature: Signature) throws {
        let label: Testing.Comment = "\(name), call \(expected.id) to \(expected.address)"
        #expect(given.kind == expected.kind, label)
        #expect(given.address == expected.address, label)
        guard given.kind == expected.kind, given.kind != .error, given.kind != .canceled else { return }
        #expect(given.flags == expected.flags, label)
        if given.address == ActionAddress(.serviceDirectory, action: WellKnownActions.machineID) { return }
        let (ours, theirs) = (masked(try given.value(signature), signature), masked(try expected.value(signature), signature))
        #expect(ours == theirs, label)
    }

    /// What differs from run to run taken out: link ids, and of a ServiceInfo all but name and id.
    private func masked(_ value: QiValue, _ signature: Signature) -> QiValue {
        switch (value, signature.text) {
        case (.uint64, "L"): .void
        case (.tuple(let members), ServiceInfo.signature.text): .tuple(Array(members.prefix(2)))
        case (.list(let elements), Signature(.list(ServiceInfo.signature.type)).text):
            .list(elements.map { masked($0, ServiceInfo.signature) })
        default: value.canonical
        }
    }
}

extension RecordedVectors {
    /// The signatures of events that are not the directory's.
    static let eventSignatures: [String: [UInt32: Signature]] = [
        "c_signals_properties": [101: "(i)", 102: "(m)", 105: "(s)", 106: "([(ii)<P,x,y>])", 107: "(is)", 108: "m"]
    ]
}

extension [RecordedEntry] {
    /// Whether the conversation cancels that call.
    func cancels(_ id: UInt32) -> Bool {
        contains { entry in
            guard let hex = entry.hex, let message = try? frame(hex), message.kind == .cancel else { return false }
            var payload = message.payload
            return (try? payload.readQiUInt32()) == id
        }
    }
}
