import NIOCore

@testable import XMPP

/// The machines of SOCKS5 bytestreams (RFC 1928, XEP-0260) fed with whatever comes: each says one end at most, asks only for what it may,
/// and what was said before an end stays true.
///
/// Input: a byte that says which machine, then its bytes in pieces (a byte of length before each), or its events.
enum SOCKS5Fuzz {
    static func run(_ bytes: [UInt8]) throws {
        var input = FuzzInput(bytes)
        switch input.byte() % 3 {
        case 0: try client(&input)
        case 1: try server(&input)
        default: try candidates(&input)
        }
    }

    private static func client(_ input: inout FuzzInput) throws {
        let hasCredentials = input.byte() & 1 == 1
        var machine = try SOCKS5ClientStateMachine(
            domain: String(repeating: "a", count: 40), port: 0, credentials: hasCredentials ? .init(name: "n", password: "p") : nil)
        var sent = machine.begin() == nil ? 0 : 1
        var hasEnded = false
        while !input.isEmpty {
            machine.received(ByteBuffer(bytes: input.shortBytes(limit: 64)))
            steps: while true {
                switch machine.next() {
                case .wait: break steps
                case .send: sent += 1
                case .connected, .fail:
                    try FuzzFinding.expect(!hasEnded, "a client ended twice")
                    hasEnded = true
                }
            }
            try FuzzFinding.expect(sent <= (hasCredentials ? 3 : 2), "a client sent \(sent) messages")
        }
        try FuzzFinding.expect((machine.closed() == nil) == hasEnded, "a client's end is not its connection's")
    }

    private static func server(_ input: inout FuzzInput) throws {
        var machine = SOCKS5ServerStateMachine()
        let isGranted = input.byte() & 1 == 1
        var (sent, decisions) = (0, 0)
        var hasEnded = false
        while !input.isEmpty {
            machine.received(ByteBuffer(bytes: input.shortBytes(limit: 64)))
            steps: while true {
                switch machine.next() {
                case .wait: break steps
                case .send: sent += 1
                case .decide(let name):
                    try FuzzFinding.expect(StreamDigest.isValid(name), "asked about \(name)")
                    decisions += 1
                    if case .nothing = machine.decided(isGranted: isGranted) { throw FuzzFinding("a decision that nothing follows") }
                    hasEnded = true
                case .fail(_, let answer):
                    try FuzzFinding.expect(!hasEnded && answer.readableBytes <= 10, "a server failed twice, or at length")
                    hasEnded = true
                }
            }
            try FuzzFinding.expect(sent <= 1 && decisions <= 1, "\(sent) answers, \(decisions) decisions")
        }
        try FuzzFinding.expect((machine.closed() == nil) == hasEnded, "a server's end is not its connection's")
    }

    private static func candidates(_ input: inout FuzzInput) throws {
        guard let jid = JID("x@mesh.test/y") else { throw FuzzFinding("the contact has no address") }
        func candidate(_ code: UInt8) -> SOCKS5Candidate {
            let kind: SOCKS5Candidate.Kind = code & 1 == 0 ? .direct : .proxy
            return SOCKS5Candidate(cid: "c\(code & 7)", kind, host: "192.0.2.1", port: 1, jid: jid, rank: Int(code))
        }
        var machine = SOCKS5CandidatesStateMachine(isInitiator: input.byte() & 1 == 0, ours: (0..<3).map { candidate($0) })
        var now = NIODeadline.uptimeNanoseconds(1_000_000_000)
        var (verdicts, ends) = (0, 0)
        while !input.isEmpty {
            let code = input.byte()
            let cid = "c\(code >> 5)"
            switch code & 15 {
            case 0: _ = machine.started(input.shortBytes(limit: 16).map { candidate($0) })
            case 1, 2: verdicts += machine.advance(now: now).tellsFailure ? 1 : 0
            case 3, 4: if case .tell = machine.dialled(cid: cid) { verdicts += 1 }
            case 5, 6: machine.dialFailed(cid: cid, "no")
            case 7: _ = machine.peerUsed(cid: cid)
            case 8: _ = machine.peerFailed()
            case 9: _ = machine.peerActivated(cid: cid)
            case 10: _ = machine.peerProxyFailed()
            case 11: machine.connectionArrived(cid: cid)
            case 12: _ = machine.joined()
            case 13: _ = machine.joinFailed("no")
            default: now = now + .milliseconds(Int64(code) * 10)
            }
            switch machine.takeNomination() {
            case .join, nil: break
            case .useDialled, .useArrived, .useJoined, .fail: ends += 1
            }
            _ = machine.takeAbandoned()
            try FuzzFinding.expect(verdicts <= 1 && ends <= 1, "\(verdicts) verdicts, \(ends) ends")
            try FuzzFinding.expect(machine.candidates.count <= 11, "\(machine.candidates.count) candidates")
        }
        try FuzzFinding.expect(machine.candidates.count { $0.reason == nil } <= 1, "two candidates in use")
    }
}
