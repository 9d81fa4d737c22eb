import NIOCore
@testable import QiMessaging
import QiWire
import Testing

/// What those outside are told when services inside come and go, and when.
@Suite(.timeLimit(.minutes(8))) struct GatewayReturnTests {
    private func increment(_ service: ObjectProxy, _ number: Int32) async throws -> Int32 { try await service.call("inc", number) }

    /// The next event of a directory's signal: id and name.
    private func next(_ events: SignalEvents) async throws -> (id: UInt32, name: String) {
        let event = try #require(await events.first())
        return (try #require(event.first?.asUInt32), try #require(event.last?.asString))
    }

    /// Who does not use a service is told at once that it went, who does after the return time; it is in no list meanwhile.
    @Test func aLostServiceIsToldAtOnceToThoseWhoDoNotUseIt() async throws {
        try await MortalDirectory.with { directory in
            try await withGateway(to: directory.endpoint, { $0.returnTime = .seconds(9) }) { _, endpoint in
                try await withOutsider(endpoint) { user in
                    try await withOutsider(endpoint) { other in
                        let host = try await vanishingHost(of: directory, "Probe")
                        try await user.waitForService("Probe")
                        try await other.waitForService("Probe")
                        let service = try await user.service("Probe")
                        let id = try await user.info(of: "Probe").serviceID
                        let here = try await user.directory().events(of: "serviceRemoved")
                        let there = try await other.directory().events(of: "serviceRemoved")
                        let before = NIODeadline.now()
                        await host.vanish()
                        #expect(try await next(there) == (id, "Probe"))
                        #expect(NIODeadline.now() - before < .seconds(9))
                        #expect(try await user.services().map(\.name) == ["ServiceDirectory"])
                        #expect(try await next(here) == (id, "Probe"))
                        #expect(NIODeadline.now() - before >= .seconds(9))
                        // Once each.
                        let last = try await directory.server.register(ProbeTests.probeObject(), as: "Last")
                        try await user.waitForService("Last")
                        try await directory.server.unregister(last)
                        #expect(try await next(here).name == "Last")
                        #expect(try await next(there).name == "Last")
                        _ = service
                    }
                }
            }
        }
    }

    enum End: CaseIterable { case unregister, close, ofThisProcess }

    /// Nothing is waited for that its host took away.
    @Test(arguments: End.allCases) func anOrderlyEndIsToldAtOnce(_ end: End) async throws {
        try await MortalDirectory.with { directory in
            try await withGateway(to: directory.endpoint, { $0.returnTime = .seconds(3600) }) { gateway, endpoint in
                try await withOutsider(endpoint) { user in
                    func use() async throws -> SignalEvents {
                        try await user.waitForService("Probe")
                        #expect(try await increment(user.service("Probe"), 1) == 2)
                        return try await user.directory().events(of: "serviceRemoved")
                    }
                    let removed: SignalEvents
                    switch end {
                    case .unregister:
                        removed = try await withSession(of: directory) { host in
                            let hosted = try await host.register(ProbeTests.probeObject(), as: "Probe")
                            let removed = try await use()
                            try await host.unregister(hosted)
                            return removed
                        }
                    case .close:
                        removed = try await withSession(of: directory) { host in
                            _ = try await host.register(ProbeTests.probeObject(), as: "Probe")
                            return try await use()
                        }
                    case .ofThisProcess:
                        let hosted = try await directory.server.register(ProbeTests.probeObject(), as: "Probe")
                        removed = try await use()
                        try await directory.server.unregister(hosted)
                    }
                    #expect(try await next(removed).name == "Probe")
                    let gone = await #expect(throws: QiError.self) { _ = try await user.service("Probe") }
                    #expect(gone?.code == .notFound)
                    #expect(try await gateway.status().servicesInUse == 0)
                }
            }
        }
    }

    /// A member board's host that is lost is lost for a gateway of the master, too, and one that closes is gone.
    @Test(arguments: [true, false]) func aMemberTellsItsMasterWhyAServiceWent(isLost: Bool) async throws {
        try await MortalDirectory.with { master in
            try await withFolder { folder in
                let member = try MortalDirectory(in: folder, name: "member", machineID: "arm-machine", master: master.endpoint)
                try await member.ending {
                    try await member.start()
                    let returnTime = isLost ? Duration.milliseconds(1500) : .seconds(3600)
                    try await withGateway(to: master.endpoint, { $0.returnTime = returnTime }) { _, endpoint in
                        try await withOutsider(endpoint) { user in
                            let host = try await vanishingHost(of: member, "Arm", machineID: "arm-machine")
                            try await user.waitForService("Arm")
                            #expect(try await increment(user.service("Arm"), 1) == 2)
                            let removed = try await user.directory().events(of: "serviceRemoved")
                            let before = NIODeadline.now()
                            if isLost { await host.vanish() } else { await host.close() }
                            #expect(try await next(removed).name == "Arm")
                            if isLost { #expect(NIODeadline.now() - before >= .milliseconds(1500)) }
                        }
                    }
                }
            }
        }
    }

    /// Restarts of the directory, with and without its memory, and of the service's host: the id at the door stays, used or not.
    @Test(arguments: [true, false], [true, false])
    func theIDAtTheDoorOutlivesRestarts(keepsJournal: Bool, isUsed: Bool) async throws {
        try await MortalDirectory.with(keepsJournal: keepsJournal) { directory in
            try await withGateway(to: directory.endpoint) { gateway, endpoint in
                try await withOutsider(endpoint) { user in
                    func id() async throws -> UInt32 {
                        while true {
                            if let info = try await user.services().first(where: { $0.name == "Probe" }) { return info.serviceID }
                        }
                    }
                    var host = try await vanishingHost(of: directory, "Probe")
                    try await user.waitForService("Probe")
                    let first = try await id()
                    let service = try await isUsed ? user.service("Probe") : nil
                    for round in 0..<4 {
                        // For those who use it a service that was closed is gone, and the next is another.
                        if round == 3, isUsed { break }
                        if round == 1 || round == 2 {
                            try await directory.kill()
                            _ = await host.isAway()
                            try await directory.start()
                        }
                        switch round {
                        case 0, 2: await host.vanish()
                        case 3: await host.close()
                        default: await host.isBack()
                        }
                        if round != 1 { host = try await vanishingHost(of: directory, "Probe") }
                        try await gateway.hasJoined()
                        try await user.waitForService("Probe")
                        #expect(try await id() == first, "\(round)")
                    }
                    await host.close()
                    _ = service
                }
            }
        }
    }

    /// What was registered a moment ago is found, though its announcement is not here yet.
    @Test func aServiceIsFoundAsSoonAsItIsRegistered() async throws {
        try await MortalDirectory.with { directory in
            try await withGateway(to: directory.endpoint) { gateway, endpoint in
                try await gateway.hasJoined()
                try await withOutsider(endpoint) { outsider in
                    for number in 0..<200 {
                        let hosted = try await directory.server.register(ProbeTests.probeObject(), as: "New\(number)")
                        #expect(try await increment(outsider.service("New\(number)"), 1) == 2)
                        try await directory.server.unregister(hosted)
                    }
                }
            }
        }
    }

    /// A member board asks its master likewise.
    @Test func aBoardFindsWhatItsMasterHasJustTaken() async throws {
        try await MortalDirectory.with { master in
            try await withFolder { folder in
                let member = try MortalDirectory(in: folder, name: "member", machineID: "arm-machine", master: master.endpoint)
                try await member.ending {
                    try await member.start()
                    while try await member.server.masterTrouble() != nil { await Task.yield() }
                    try await withSession(of: member, machineID: "arm-machine") { session in
                        for number in 0..<200 {
                            _ = try await master.server.register(ProbeTests.probeObject(), as: "New\(number)")
                            #expect(try await session.info(of: "New\(number)").name == "New\(number)")
                        }
                    }
                }
            }
        }
    }

    /// What a directory answers beside what it lists is not for those outside, however it is asked for.
    @Test func whatIsNotListedIsNotFoundByAskingAgain() async throws {
        try await MortalDirectory.with { directory in
            try await directory.server.registerPrivate(ProbeTests.probeObject(), as: "Private")
            try await withGateway(to: directory.endpoint) { gateway, endpoint in
                try await gateway.hasJoined()
                try await withOutsider(endpoint) { outsider in
                    for name in ["Private", Departures.serviceName, BoardNames.serviceName] {
                        let error = await #expect(throws: QiError.self) { _ = try await outsider.service(name) }
                        #expect(error?.code == .notFound, "\(name)")
                    }
                }
            }
        }
    }

    private func vanishingHost(of directory: MortalDirectory, _ name: String, machineID: String = "test-machine") async throws -> Session {
        var options = Session.Options()
        (options.machineID, options.callsInProcess, options.logger) = (machineID, false, quiet)
        let session = try await Session.connect(directory.endpoint.text, options: options)
        while true {
            // The directory may not have noticed the end of the host before.
            do throws(QiError) {
                _ = try await session.register(ProbeTests.probeObject(), as: name)
                return session
            } catch {
                guard error.message.contains("already registered") else { throw error }
            }
        }
    }
}

extension Session {
    /// Its end without a word, as that of a process that is killed.
    func vanish() async { await loop.shutDown() }
}
