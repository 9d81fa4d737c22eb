import NIOCore
@testable import QiMessaging
import QiWire
import Testing

/// A directory with a journal after its restart, as a libqi client sees it.
@Suite(.timeLimit(.minutes(8)))
struct DirectoryRestartTests {
    private func service(_ name: String) -> ActionAddress { ActionAddress(.serviceDirectory, action: WellKnownActions.service) }

    private func register(_ client: RawClient, _ name: String, machine: String, session: String, id: UInt32) async throws -> Message {
        let info = ServiceInfo(
            name: name, machineID: machine, processID: 1, endpoints: ["tcp://10.0.0.9:1"], sessionID: session)
        return try await client.call(
            ActionAddress(.serviceDirectory, action: WellKnownActions.registerService), id: id, [info.qiValue],
            Signature(.tuple([ServiceInfo.signature.type])))
    }

    private func ready(_ client: RawClient, _ service: UInt32, id: UInt32) async throws {
        let answer = try await client.call(
            ActionAddress(.serviceDirectory, action: WellKnownActions.serviceReady), id: id, [.uint32(service)], "(I)")
        #expect(answer.kind == .reply)
    }

    private func givenID(_ answer: Message) throws -> UInt32 {
        var payload = answer.payload
        #expect(answer.kind == .reply)
        return try payload.readQiUInt32()
    }

    private func withRestarted(_ body: (MortalDirectory) async throws -> Void) async throws {
        try await MortalDirectory.with { directory in
            try await withClient(directory.endpoint) { client in
                let id = try givenID(try await register(client, "Kept", machine: "m1", session: "s1", id: 2))
                #expect(id == 2)
                try await ready(client, id, id: 3)
                try await directory.kill()
                while await client.next() != nil {}
            }
            try await directory.start()
            try await body(directory)
        }
    }

    @Test func unconfirmedIsNotListedAndItsNameIsKept() async throws {
        try await withRestarted { directory in
            #expect(try await directory.server.services().isEmpty)
            try await withClient(directory.endpoint) { client in
                let stranger = try await register(client, "Kept", machine: "m2", session: "s2", id: 2)
                var payload = stranger.payload
                #expect(stranger.kind == .error && payload.readErrorPayload().contains("kept for its owner"))
                let fresh = try givenID(try await register(client, "Fresh", machine: "m2", session: "s2", id: 3))
                #expect(fresh == 3)
                let back = try givenID(try await register(client, "Kept", machine: "m1", session: "s9", id: 4))
                #expect(back == 2)
            }
        }
    }

    @Test func aLookUpWaitsForTheOwner() async throws {
        try await withRestarted { directory in
            try await withClient(directory.endpoint) { asking in
                try await withClient(directory.endpoint) { owner in
                    async let answer = asking.call(service("Kept"), id: 2, [.string("Kept")], "(s)")
                    let id = try givenID(try await register(owner, "Kept", machine: "m1", session: "s2", id: 2))
                    try await ready(owner, id, id: 3)
                    let found = try await answer
                    #expect(found.kind == .reply)
                    let info = try ServiceInfo(qiValue: try found.payload.value(of: ServiceInfo.signature.type, flags: found.flags))
                    #expect(info.serviceID == 2 && info.sessionID == "s2")
                }
            }
        }
    }

    @Test func andFindsNothingWhenTheOwnerDoesNotCome() async throws {
        try await withRestarted { directory in
            try await withClient(directory.endpoint) { client in
                let before = NIODeadline.now()
                let answer = try await client.call(service("Kept"), id: 2, [.string("Kept")], "(s)")
                var payload = answer.payload
                #expect(answer.kind == .error && payload.readErrorPayload() == "Cannot find service 'Kept' in index")
                // Not at once, or nothing was waited for.
                #expect(NIODeadline.now() - before >= .seconds(4))
            }
        }
    }

    @Test func aWaitingClientMayGo() async throws {
        try await withRestarted { directory in
            try await withClient(directory.endpoint) { client in
                try await client.send(Message(
                    kind: .call, id: 2, address: service("Kept"), payload: {
                        var payload = ByteBuffer()
                        payload.writeQiString(QiString("Kept"))
                        return payload
                    }()))
            }
            try await withClient(directory.endpoint) { owner in
                let id = try givenID(try await register(owner, "Kept", machine: "m1", session: "s2", id: 2))
                try await ready(owner, id, id: 3)
                #expect(try await directory.server.services().map(\.name) == ["Kept"])
            }
        }
    }

    @Test func unregisteredIsForgotten() async throws {
        try await MortalDirectory.with { directory in
            try await withClient(directory.endpoint) { client in
                _ = try await register(client, "Gone", machine: "m1", session: "s1", id: 2)
            }
            // The removal is written when the directory has noticed the end, which this session's look-up comes after.
            try await withSession(of: directory) { session in
                _ = await #expect(throws: QiError.self) { _ = try await session.info(of: "Gone") }
            }
            try await directory.kill()
            try await directory.start()
            try await withClient(directory.endpoint) { client in
                let id = try givenID(try await register(client, "Gone", machine: "m2", session: "s2", id: 2))
                #expect(id == 3)
            }
        }
    }
}
