import NIOCore
@testable import QiMessaging
import QiWire
import Testing

/// A directory inside, services in sessions of their own, and clients that know the gateway alone.
@Suite(.timeLimit(.minutes(8))) struct TCPGatewayTests {
    private func increment(_ service: ObjectProxy, _ number: Int32) async throws -> Int32 { try await service.call("inc", number) }

    @Test func everythingIsOnOneConnection() async throws {
        try await MortalDirectory.with { directory in
            _ = try await directory.server.register(ProbeTests.probeObject(), as: "InDirectory")
            try await withSession(of: directory) { host in
                try await withSession(of: directory, machineID: "another-machine") { other in
                    _ = try await host.register(ProbeTests.probeObject(), as: "OfItsOwn")
                    _ = try await other.register(ProbeTests.probeObject(), as: "Forwarded")
                    try await withGateway(to: directory.endpoint) { gateway, endpoint in
                        try await withOutsider(endpoint) { outsider in
                            for name in ["InDirectory", "OfItsOwn", "Forwarded"] {
                                try await outsider.waitForService(name)
                                #expect(try await increment(outsider.service(name), 1) == 2)
                            }
                            let infos = try await outsider.services()
                            #expect(Set(infos.map(\.name)) == ["ServiceDirectory", "InDirectory", "OfItsOwn", "Forwarded"])
                            for info in infos {
                                #expect(info.endpoints == ["qi:ServiceDirectory", endpoint.text] && info.machineID == "gateway-machine")
                                #expect(info.serviceID == 1 || LookUpIDs.first..<LookUpIDs.firstHidden ~= info.serviceID)
                            }
                            #expect(Set(infos.map(\.serviceID)).count == infos.count)
                            let looked = try await outsider.info(of: "OfItsOwn")
                            #expect(infos.contains { $0.serviceID == looked.serviceID && $0.objectUID == looked.objectUID })
                            #expect(try await gateway.status().connections == 1)
                            let core = outsider.core
                            let connections = try await outsider.loop.run { (_) async throws(QiError) in core.value.connectionCount }
                            #expect(connections == 1)
                        }
                    }
                }
            }
        }
    }

    @Test func aServiceMayBeRestarted() async throws {
        try await MortalDirectory.with { directory in
            try await withGateway(to: directory.endpoint) { _, endpoint in
                try await withOutsider(endpoint) { outsider in
                    let (service, events) = try await withSession(of: directory) { host in
                        let hosted = try await host.register(ProbeTests.probeObject(), as: "Probe")
                        try await outsider.waitForService("Probe")
                        let service = try await outsider.service("Probe")
                        let events = try await service.events(of: "sig")
                        try hosted.emit("sig", [.int32(1), .string("")])
                        #expect(await events.first()?.first == .int32(1))
                        await host.vanish()
                        return (service, events)
                    }
                    let gap = await #expect(throws: QiError.self) {
                        // The call may be on its way when the end is noticed.
                        while true { _ = try await increment(service, 1) }
                    }
                    #expect(gap?.message.contains("Probe: the service is away") == true && gap?.message.contains("try again") == true)
                    // It is not there for those who look it up, and is when they are told.
                    let added = try await outsider.directory().events(of: "serviceAdded")
                    try await withSession(of: directory) { host in
                        let hosted = try await host.register(ProbeTests.probeObject(), as: "Probe")
                        #expect(await added.first()?.last?.asString == "Probe")
                        #expect(try await increment(service, 41) == 42)
                        try hosted.emit("sig", [.int32(2), .string("")])
                        #expect(await events.first()?.first == .int32(2))
                        #expect(events.failure == nil && events.dropped == 0)
                        // Once: there is one subscription inside.
                        try hosted.emit("sig", [.int32(3), .string("")])
                        #expect(await events.first()?.first == .int32(3))
                    }
                }
            }
        }
    }

    /// By numbers those outside would call other members than they mean.
    @Test func aServiceWithOtherMembersIsAnother() async throws {
        try await MortalDirectory.with { directory in
            try await withGateway(to: directory.endpoint) { _, endpoint in
                try await withOutsider(endpoint) { outsider in
                    let (service, events, id) = try await withSession(of: directory) { host in
                        _ = try await host.register(ProbeTests.probeObject(), as: "Probe")
                        try await outsider.waitForService("Probe")
                        let service = try await outsider.service("Probe")
                        let known = (service, try await service.events(of: "sig"), try await outsider.info(of: "Probe").serviceID)
                        await host.vanish()
                        return known
                    }
                    let removed = try await outsider.directory().events(of: "serviceRemoved")
                    try await withSession(of: directory) { host in
                        var another = ObjectBuilder()
                        another.advertiseMethod("other", "()", returns: "i") { _, _ in .int32(7) }
                        _ = try await host.register(another, as: "Probe")
                        let event = try #require(await removed.first())
                        #expect(event == [.uint32(id), .string("Probe")])
                        #expect(await events.first() == nil)
                        await #expect(throws: QiError.self) { _ = try await increment(service, 1) }
                        try await outsider.waitForService("Probe")
                        let answer: Int32 = try await outsider.service("Probe").call("other")
                        #expect(answer == 7)
                        #expect(try await outsider.info(of: "Probe").serviceID != id)
                    }
                }
            }
        }
    }

    @Test func aServiceThatStaysAwayIsGivenUp() async throws {
        try await MortalDirectory.with { directory in
            try await withGateway(to: directory.endpoint, { $0.returnTime = .milliseconds(200) }) { gateway, endpoint in
                try await withOutsider(endpoint) { outsider in
                    let (removed, events) = try await withSession(of: directory) { host in
                        _ = try await host.register(ProbeTests.probeObject(), as: "Probe")
                        try await outsider.waitForService("Probe")
                        let events = try await outsider.service("Probe").events(of: "sig")
                        let removed = try await outsider.directory().events(of: "serviceRemoved")
                        await host.vanish()
                        return (removed, events)
                    }
                    #expect(await removed.first()?.last?.asString == "Probe")
                    #expect(await events.first() == nil)
                    #expect(try await gateway.status().servicesInUse == 0)
                    let error = await #expect(throws: QiError.self) { _ = try await outsider.service("Probe") }
                    #expect(error?.code == .notFound)
                }
            }
        }
    }

    /// One that nobody uses is not waited for.
    @Test func anUnusedServiceIsGoneAtOnce() async throws {
        try await MortalDirectory.with { directory in
            try await withGateway(to: directory.endpoint) { _, endpoint in
                try await withOutsider(endpoint) { outsider in
                    let removed = try await withSession(of: directory) { host in
                        _ = try await host.register(ProbeTests.probeObject(), as: "Probe")
                        try await outsider.waitForService("Probe")
                        return try await outsider.directory().events(of: "serviceRemoved")
                    }
                    #expect(await removed.first()?.last?.asString == "Probe")
                    #expect(try await outsider.services().map(\.name) == ["ServiceDirectory"])
                }
            }
        }
    }

    /// Of the directory and of a service that only it reaches.
    @Test(arguments: ["test-machine", "another-machine"])
    func theDirectoryMayBeRestarted(machine: String) async throws {
        try await MortalDirectory.with { directory in
            try await withSession(of: directory, machineID: machine) { host in
                let hosted = try await host.register(ProbeTests.probeObject(), as: "Probe")
                try await withGateway(to: directory.endpoint) { gateway, endpoint in
                    try await withOutsider(endpoint) { outsider in
                        try await outsider.waitForService("Probe")
                        let service = try await outsider.service("Probe")
                        let events = try await service.events(of: "sig")
                        for round in Int32(0)..<2 {
                            try await directory.kill()
                            _ = await host.isAway()
                            if machine == "test-machine" {
                                // It has a connection of its own.
                                #expect(try await increment(service, round) == round + 1)
                                try hosted.emit("sig", [.int32(100 + round), .string("")])
                                #expect(await events.first()?.first == .int32(100 + round))
                            }
                            try await directory.start()
                            await host.isBack()
                            try await gateway.hasJoined()
                            try await untilSucceeds {
                                let answer = try await increment(service, round)
                                #expect(answer == round + 1)
                            }
                            try hosted.emit("sig", [.int32(round), .string("")])
                            #expect(await events.first()?.first == .int32(round))
                        }
                        #expect(outsider.state.isConnected && events.failure == nil)
                    }
                }
            }
        }
    }

    /// Repeats a call that fails because the service is away, as whoever is told to try again does.
    private func untilSucceeds(_ body: () async throws -> Void) async throws {
        while true {
            do { return try await body() } catch let error as QiError where error.message.contains("try again") {}
        }
    }

    @Test func objectsGoBothWays() async throws {
        try await MortalDirectory.with { directory in
            try await withSession(of: directory) { host in
                var builder = ObjectBuilder()
                builder.advertiseMethod("recall", "(o)", returns: "s") { arguments, context in
                    let caller = try await context.proxy(for: try #require(arguments[0].asObject))
                    let name: String = try await caller.call("name")
                    return .string("heard " + name)
                }
                builder.advertiseMethod("make", "()", returns: "o") { _, context in
                    var child = ObjectBuilder()
                    child.advertiseMethod("name", "()", returns: "s") { _, _ in .string("child") }
                    return .object(try await context.host(child).reference)
                }
                _ = try await host.register(builder, as: "Maker")
                try await withGateway(to: directory.endpoint) { _, endpoint in
                    // Both number their objects and calls from the same beginning.
                    try await withOutsider(endpoint) { one in
                        try await withOutsider(endpoint) { other in
                            for (session, name) in [(one, "one"), (other, "other"), (one, "one again")] {
                                try await session.waitForService("Maker")
                                let maker = try await session.service("Maker")
                                var callback = ObjectBuilder()
                                callback.advertiseMethod("name", "()", returns: "s") { _, _ in .string(QiString(name)) }
                                let passed = try await maker.host(callback)
                                let heard = try await maker.call("recall", arguments: [.object(passed.reference)])
                                #expect(heard == .string(QiString("heard \(name)")))
                                let made = try await maker.call("make", arguments: [])
                                let child = try await maker.object(#require(made.asObject))
                                #expect(try await child.call("name", arguments: []) == .string("child"))
                            }
                        }
                    }
                }
            }
        }
    }
}
