import NIOCore
@testable import QiMessaging
import QiWire
import Testing

/// Whose a service's name and id are after a restart of everything: the principal's that had them, who cannot be imitated by sending what
/// it sent.
@Suite(.timeLimit(.minutes(8))) struct NameHolderTests {
    private struct TwoUsers: CredentialStore {
        func proof(of credentials: Credentials) -> CredentialProof? {
            guard ["nao", "eve"].contains(credentials.user), credentials.token == "of " + credentials.user else { return nil }
            return CredentialProof(.user(credentials.user))
        }
        func isStillGood(_ proof: CredentialProof) -> Bool { true }
    }

    /// Comes in at the door as `user`, with the machine id of everybody else here.
    private func session(of user: String, at endpoint: Endpoint) async throws -> Session {
        var options = Session.Options()
        options.credentials = Credentials(user: user, token: "of " + user)
        (options.machineID, options.callsInProcess, options.logger) = ("outside-machine", false, quiet)
        return try await Session.connect(endpoint.text, options: options)
    }

    private func withDoor(to directory: MortalDirectory, _ body: (TCPGateway, Endpoint) async throws -> Void) async throws {
        var rule = PermissionRule(who: [.zone(.lan)])
        rule.register = ["Vision*"]
        try await withGateway(
            to: directory.endpoint,
            { options in
                options.access = AccessControl(PermissionPolicy(rules: [rule]))
                options.rules.authentication = ListenerRules.Authentication(stores: [TwoUsers()], admitsAnonymous: false)
            }
        ) { gateway, endpoint in
            try await gateway.hasJoined()
            try await body(gateway, endpoint)
        }
    }

    @Test func aNameOfOneOutsideIsNotAnothersAfterARestart() async throws {
        try await MortalDirectory.with { directory in
            try await withDoor(to: directory) { gateway, endpoint in
                let host = try await session(of: "nao", at: endpoint)
                let id = try await host.register(ProbeTests.probeObject(), as: "VisionOne").serviceID
                let eve = try await session(of: "eve", at: endpoint)
                let again = try await session(of: "nao", at: endpoint)
                try await directory.kill()
                await host.vanish()
                // Or it would be registered again for its owner.
                while try await gateway.status().connections > 2 { await Task.yield() }
                try await directory.start()
                // The directory is told for whom the gateway registers.
                let refused = await #expect(throws: QiError.self) { _ = try await eve.register(ProbeTests.probeObject(), as: "VisionOne") }
                #expect(refused?.message.contains("kept for its owner") == true, "\(refused?.message ?? "")")
                let returned = try await again.register(ProbeTests.probeObject(), as: "VisionOne").serviceID
                #expect(returned == id)
                await eve.vanish()
                await again.vanish()
            }
        }
    }

    /// What a board is called by: the first that is joined keeps the machine id.
    @Test func aBoardDoesNotTakeAnothersPlace() async throws {
        try await withFolder { folder in
            try await withDirectory { directory, tcp in
                try await directory.nameBoard("head")
                let socket = try await directory.listen(at: #require(Endpoint("unix:\(folder)/socket")))
                func join(_ client: RawClient, _ name: String) async throws -> Message {
                    let id = try await client.lookUp(BoardNames.serviceName)
                    let action = ActionAddress(.main(ofService: id), action: BoardNames.join)
                    return try await client.call(action, id: 9, [.string("arm-machine"), .string(QiString(name))], "(ss)")
                }
                try await withClient(socket.endpoint) { arm in
                    #expect(try await join(arm, "arm").kind == .reply)
                    try await withClient(tcp) { other in
                        let refused = try await join(other, "mallory")
                        #expect(refused.kind == .error && refused.errorText.contains("another board that is joined"))
                    }
                    // Its own next connection may come before the end of this one is noticed.
                    try await withClient(socket.endpoint) { again in
                        let answer = try await join(again, "left arm")
                        let names = try await directory.boardNames()
                        #expect(answer.kind == .reply && names["arm-machine"] == "left arm")
                    }
                }
                await socket.close()
            }
        }
    }
}
