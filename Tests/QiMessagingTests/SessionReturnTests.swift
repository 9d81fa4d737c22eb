import NIOCore
@testable import QiMessaging
import QiWire
import Testing

/// Sessions whose directory dies and comes back.
@Suite(.timeLimit(.minutes(8)))
struct SessionReturnTests {
    /// Emits `number` as the event that it is.
    private func emit(_ number: Int32, _ hosted: HostedObject) throws { try hosted.emit("sig", [.int32(number), .string("")]) }

    private func number(_ events: SignalEvents) async -> QiValue? { await events.first()?.first }

    /// A host and a user in sessions of their own.
    private func withPair(
        hostMachine: String = "test-machine", keepsJournal: Bool = true, gap: Session.Gap = .fail,
        _ body: (MortalDirectory, _ host: Session, _ user: Session) async throws -> Void
    ) async throws {
        try await MortalDirectory.with(keepsJournal: keepsJournal) { directory in
            try await withSession(of: directory, machineID: hostMachine) { host in
                try await withSession(of: directory, gap: gap) { user in try await body(directory, host, user) }
            }
        }
    }

    private func restart(_ directory: MortalDirectory, _ sessions: Session...) async throws {
        try await directory.kill()
        for session in sessions { _ = await session.isAway() }
        try await directory.start()
        for session in sessions { await session.isBack() }
    }

    @Test(arguments: [true, false])
    func aServiceKeepsItsIDAndItsUsers(keepsJournal: Bool) async throws {
        try await withPair(keepsJournal: keepsJournal) { directory, host, user in
            _ = try await host.register(ProbeTests.probeObject(), as: "Other")
            let hosted = try await host.register(ProbeTests.probeObject(), as: "Probe")
            let service = try await user.service("Probe")
            let events = try await service.events(of: "sig")
            try emit(1, hosted)
            try await directory.kill()
            _ = await user.isAway()
            // It has a connection of its own.
            let answer: Int32 = try await service.call("inc", Int32(1))
            #expect(answer == 2)
            try emit(2, hosted)
            let gap = await #expect(throws: QiError.self) { _ = try await user.services() }
            #expect(gap?.isRetryable == true && gap?.message.contains(directory.endpoint.text) == true && gap?.hint != nil)
            let hidden = await #expect(throws: QiError.self) { _ = try await user.service("Other") }
            #expect(hidden?.isRetryable == true)
            _ = await host.isAway()
            try await directory.start()
            await host.isBack()
            await user.isBack()
            try emit(3, hosted)
            let received = [await number(events), await number(events), await number(events)]
            #expect(received == [.int32(1), .int32(2), .int32(3)])
            let info = try await user.info(of: "Probe")
            #expect(info.serviceID == hosted.serviceID)
            #expect(try await user.service("Probe").metaObject == service.metaObject)
            _ = try await service.call("inc", arguments: [.int32(0)])
            #expect(events.dropped == 0)
        }
    }

    /// A service that only its owner's directory connection reaches: its path, too, dies and comes back.
    @Test func aForwardedServiceComesBackWithItsSubscriptions() async throws {
        try await withPair(hostMachine: "another-machine") { directory, host, user in
            let hosted = try await host.register(ProbeTests.probeObject(), as: "Probe")
            let service = try await user.service("Probe")
            let events = try await service.events(of: "sig")
            try emit(1, hosted)
            #expect(await number(events) == .int32(1))
            for round in Int32(0)..<3 {
                try await directory.kill()
                _ = await user.isAway()
                _ = await host.isAway()
                let gap = await #expect(throws: QiError.self) { _ = try await service.call("inc", arguments: [.int32(1)]) }
                #expect(gap?.isRetryable == true, "\(String(describing: gap))")
                try await directory.start()
                await host.isBack()
                try await service.whenReachable()
                // The answer comes after the confirmation of the subscription.
                _ = try await service.call("inc", arguments: [.int32(1)])
                try emit(10 + round, hosted)
                #expect(await number(events) == .int32(10 + round))
            }
            // Nothing came twice.
            try emit(99, hosted)
            #expect(await number(events) == .int32(99))
        }
    }

    @Test func theDirectorysOwnSignalsGoOn() async throws {
        try await withPair { directory, host, user in
            let added = try await user.directory().events(of: "serviceAdded")
            try await restart(directory, host, user)
            _ = try await host.register(ProbeTests.probeObject(), as: "New")
            let event = await added.first()
            #expect(event?.last?.asString == "New")
            _ = try await host.register(ProbeTests.probeObject(), as: "Newer")
            let next = await added.first()
            #expect(next?.last?.asString == "Newer")
        }
    }

    @Test func callsWaitWhenAskedTo() async throws {
        try await withPair(hostMachine: "another-machine", gap: .wait) { directory, host, user in
            _ = try await host.register(ProbeTests.probeObject(), as: "Probe")
            let service = try await user.service("Probe")
            try await directory.kill()
            _ = await user.isAway()
            let short = await #expect(throws: QiError.self) {
                _ = try await service.call("inc", arguments: [.int32(1)], deadline: .milliseconds(20))
            }
            #expect(short?.isRetryable == true)
            let cancelled = Task { try await service.call("inc", arguments: [.int32(1)], deadline: .seconds(60)) }
            cancelled.cancel()
            let error = await #expect(throws: QiError.self) { _ = try await cancelled.value }
            #expect(error?.code == .cancelled)
            async let call: Int32 = service.call("inc", Int32(41), deadline: .seconds(50))
            async let list = user.services(deadline: .seconds(50))
            async let events = service.events(of: "sig")
            _ = await host.isAway()
            try await directory.start()
            #expect(try await call == 42)
            #expect(try await list.isEmpty == false)
            _ = try await events
        }
    }

    @Test func anotherServiceOfTheNameIsNotTheSame() async throws {
        try await MortalDirectory.with { directory in
            try await withSession(of: directory) { user in
                let (service, events, id) = try await withSession(of: directory, machineID: "another-machine") { host in
                    let hosted = try await host.register(ProbeTests.probeObject(), as: "Probe")
                    let service = try await user.service("Probe")
                    let events = try await service.events(of: "sig")
                    try await directory.kill()
                    _ = await user.isAway()
                    return (service, events, hosted.serviceID)
                }
                try await directory.start()
                await user.isBack()
                // Another process on the machine that had the name, as a libqi host that was restarted.
                try await withSession(of: directory, machineID: "another-machine") { host in
                    let hosted = try await host.register(ProbeTests.probeObject(), as: "Probe")
                    #expect(hosted.serviceID == id)
                    #expect(await events.first() == nil)
                    #expect(events.failure?.code == .notFound && events.failure?.message == "Probe is another service than before")
                    let error = await #expect(throws: QiError.self) { _ = try await service.call("inc", arguments: [.int32(1)]) }
                    #expect(error?.code == .notFound)
                    let answer: Int32 = try await user.service("Probe").call("inc", Int32(1))
                    #expect(answer == 2)
                }
            }
        }
    }

    /// The directory has forgotten everything and given the id to somebody else.
    @Test func aServiceThatLosesItsIDMoves() async throws {
        try await withPair(keepsJournal: false) { directory, host, user in
            let hosted = try await host.register(ProbeTests.probeObject(), as: "Probe")
            let service = try await user.service("Probe")
            let events = try await service.events(of: "sig")
            try await directory.kill()
            _ = await user.isAway()
            _ = await host.isAway()
            try await directory.start { server in
                let other = try await server.register(ProbeTests.probeObject(), as: "Thief")
                #expect(other.serviceID == hosted.serviceID)
            }
            await host.isBack()
            #expect(await events.first() == nil)
            #expect(events.failure?.code == .notFound)
            let error = await #expect(throws: QiError.self) { _ = try await service.call("inc", arguments: [.int32(1)]) }
            #expect(error?.code == .notFound)
            let info = try await user.info(of: "Probe")
            #expect(info.serviceID != hosted.serviceID)
            let answer: Int32 = try await user.service("Probe").call("inc", Int32(1))
            #expect(answer == 2)
            // Whoever still has the old id is told.
            let endpoint = try #require(info.endpoints.first.flatMap(Endpoint.init))
            try await withClient(endpoint) { client in
                let address = ActionAddress(.main(ofService: hosted.serviceID), action: 2)
                let answer = try await client.call(address, id: 9, [.uint32(0)], "(I)")
                var payload = answer.payload
                #expect(answer.kind == .error && payload.readErrorPayload().contains("look it up again"))
            }
            try await host.unregister(hosted)
            await #expect(throws: QiError.self) { _ = try await user.info(of: "Probe") }
        }
    }

    @Test func whatWasUnregisteredMeanwhileStaysAway() async throws {
        try await withPair { directory, host, user in
            let hosted = try await host.register(ProbeTests.probeObject(), as: "Probe")
            try await directory.kill()
            _ = await host.isAway()
            _ = await user.isAway()
            try await host.unregister(hosted)
            try await directory.start()
            await host.isBack()
            await user.isBack()
            #expect(try await user.services().map(\.name) == ["ServiceDirectory"])
        }
    }

    @Test func closingInTheGapEndsEverything() async throws {
        try await MortalDirectory.with { directory in
            var options = Session.Options()
            options.machineID = "test-machine"
            options.logger = quiet
            options.gap = .wait
            let session = try await Session.connect(directory.endpoint.text, options: options)
            let own = try await session.directory()
            let events = try await own.events(of: "serviceAdded")
            try await directory.kill()
            _ = await session.isAway()
            let states = session.states
            let waiting = Task { try await own.call("machineId", arguments: [], deadline: .seconds(60)) }
            await session.close()
            let error = await #expect(throws: QiError.self) { _ = try await waiting.value }
            #expect(error?.code == .disconnected)
            #expect(await events.first() == nil)
            var last = session.state
            for await state in states { last = state }
            #expect(last.isClosed && session.state.isClosed)
        }
    }

    @Test func manyServicesComeBackTogether() async throws {
        try await withPair(hostMachine: "another-machine") { directory, host, user in
            var ids: [String: UInt32] = [:]
            var services: [ObjectProxy] = []
            for number in 0..<40 {
                let name = "Service\(number)"
                ids[name] = try await host.register(ProbeTests.probeObject(), as: name).serviceID
                services.append(try await user.service(name))
            }
            try await restart(directory, host, user)
            for service in services {
                try await service.whenReachable()
                let answer: Int32 = try await service.call("inc", Int32(1))
                #expect(answer == 2)
            }
            for info in try await user.services() where info.serviceID != 1 { #expect(ids[info.name] == info.serviceID) }
        }
    }
}
