import NIOCore
import QiWire

/// No order of messages opens what must stay shut. Input: the role and whether a server enforces, one byte; frames.
enum HandshakeFuzz {
    static func run(_ bytes: [UInt8]) throws {
        var input = FuzzInput(bytes)
        let flags = input.byte()
        let role: Handshake.Role = flags & 1 == 0 ? .client : .server
        let enforces = role == .server && flags & 2 != 0
        var machine = Handshake(role: role, enforcesAuthentication: enforces)
        if role == .client, flags & 4 == 0 { _ = try machine.start() }
        var accepted = false
        var hasFailed = false
        var verdicts = flags >> 3
        var decoder = MessageDecoder(maximumPayload: 65_536)
        decoder.append(input.remaining())
        while let message = (try? decoder.next()) ?? nil {
            let decision = machine.received(message)
            if hasFailed { try stillFails(decision) }
            switch decision {
            case .fail, .refuseAndFail: hasFailed = true
            case .judge:
                try FuzzFinding.expect(enforces && !machine.isOpen, "credentials were judged where none are wanted")
                if verdicts & 1 == 0 {
                    _ = machine.reject(reason: "no")
                    hasFailed = true
                } else {
                    _ = try machine.accept()
                    accepted = true
                }
                verdicts >>= 1
            case .ready: try FuzzFinding.expect(role == .client && machine.isOpen, "ready, and not open")
            case .pass: try FuzzFinding.expect(machine.isOpen, "\(message.address) was served before the handshake")
            case .reply, .openBySendingCapabilities: try FuzzFinding.expect(machine.isOpen, "answered, and not open")
            case .refuse, .record, .ignore: break
            }
            try FuzzFinding.expect(!machine.isOpen || !enforces || accepted, "open without credentials")
            try FuzzFinding.expect(machine.remoteCapabilities.entries.count <= Capabilities.maximumEntries, "too many capabilities")
        }
    }

    private static func stillFails(_ decision: Handshake.OnMessage) throws {
        switch decision {
        case .fail, .ignore: break
        default: throw FuzzFinding("\(decision) after the handshake failed")
        }
    }
}
