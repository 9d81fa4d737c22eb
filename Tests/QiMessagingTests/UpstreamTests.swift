import NIOCore
@testable import QiMessaging
import QiWire
import Testing

/// A directory whose services are ours too: here one of our own, which a test can kill and start again.
@Suite(.timeLimit(.minutes(8))) struct UpstreamTests {
    /// Runs `body` with a directory that follows `there`, and where it listens.
    private func withFollower<Result>(
        of there: Endpoint, _ body: (DirectoryServer, Endpoint) async throws -> Result
    ) async throws -> Result {
        try await withDirectory { server, endpoint in
            try await server.follow(UpstreamDirectory(endpoint: there))
            do {
                let result = try await body(server, endpoint)
                await server.stopFollowing()
                return result
            } catch {
                await server.stopFollowing()
                throw error
            }
        }
    }

    @Test func serviceThereIsFoundHereAndIsTheSameOneAfterBothWereRestarted() async throws {
        try await MortalDirectory.with(keepsJournal: false) { there in
            try await withFollower(of: there.endpoint) { server, endpoint in
                try await withSession(endpoint) { client in
                    let (service, id) = try await withSession(of: there) { host in
                        _ = try await host.register(ProbeTests.probeObject(), as: "Probe")
                        try await client.waitForService("Probe")
                        let service = try await client.service("Probe")
                        let answer: Int32 = try await service.call("inc", Int32(41))
                        #expect(answer == 42)
                        let known = (service, try await client.info(of: "Probe").serviceID)
                        await host.vanish()
                        return known
                    }
                    try await there.kill()
                    while try await server.upstreamStatus()?.trouble == nil { await Task.yield() }
                    let gap = await #expect(throws: QiError.self) { let _: Int32 = try await service.call("inc", Int32(1)) }
                    #expect(gap?.message.contains("try again") == true, "\(String(describing: gap))")
                    try await there.start()
                    try await withSession(of: there) { host in
                        _ = try await host.register(ProbeTests.probeObject(), as: "Before")
                        _ = try await host.register(ProbeTests.probeObject(), as: "Probe")
                        try await client.waitForService("Probe")
                        let answer: Int32 = try await service.call("inc", Int32(1))
                        #expect(answer == 2)
                        #expect(try await client.info(of: "Probe").serviceID == id)
                        #expect(try await server.upstreamStatus()?.services.sorted() == ["Before", "Probe"])
                    }
                }
            }
        }
    }

    @Test func nameThatIsListedThereIsTakenHere() async throws {
        try await MortalDirectory.with { there in
            _ = try await there.server.register(ProbeTests.probeObject(), as: "Theirs")
            try await withFollower(of: there.endpoint) { server, endpoint in
                try await withSession(endpoint) { client in
                    try await client.waitForService("Theirs")
                    let error = await #expect(throws: QiError.self) {
                        _ = try await client.register(ProbeTests.probeObject(), as: "Theirs")
                    }
                    #expect(error?.message.contains("already registered") == true)
                }
            }
        }
    }

    @Test func serviceHereIsCalledFromThereAndGoesWithItsHost() async throws {
        try await MortalDirectory.with { there in
            try await withFollower(of: there.endpoint) { server, endpoint in
                try await withSession(of: there) { client in
                    try await withSession(endpoint) { host in
                        _ = try await host.register(ProbeTests.probeObject(), as: "Ours")
                        try await client.waitForService("Ours")
                        let answer: Int32 = try await client.service("Ours").call("inc", Int32(41))
                        #expect(answer == 42)
                        #expect(try await server.upstreamStatus()?.published == ["Ours"])
                        #expect(try await server.upstreamStatus()?.services == [])
                    }
                    while try await client.services().contains(where: { $0.name == "Ours" }) { await Task.yield() }
                }
            }
        }
    }

    @Test func nameThatIsTakenThereIsToldAndTriedAgain() async throws {
        try await MortalDirectory.with { there in
            try await withDirectory { server, endpoint in
                _ = try await server.register(ProbeTests.probeObject(), as: "Both")
                let theirs = try await there.server.register(ProbeTests.probeObject(), as: "Both")
                try await server.follow(UpstreamDirectory(endpoint: there.endpoint))
                while try await server.upstreamStatus()?.unpublished["Both"] == nil { await Task.yield() }
                #expect(try await server.upstreamStatus()?.services == [])
                try await there.server.unregister(theirs)
                while try await server.upstreamStatus()?.published != ["Both"] { await Task.yield() }
                await server.stopFollowing()
            }
        }
    }

    @Test func itsServicesHaveTheirIDsAgainAfterARestartOfOurs() async throws {
        try await MortalDirectory.with { there in
            let names = ["A", "B", "C"]
            for name in names { _ = try await there.server.register(ProbeTests.probeObject(), as: name) }
            try await withFolder { folder in
                let ours = try MortalDirectory(in: folder, name: "ours")
                let upstream = UpstreamDirectory(endpoint: there.endpoint)
                try await ours.ending {
                    var ids: [[String: UInt32]] = []
                    for _ in 0..<2 {
                        let server = try await ours.start { try await $0.follow(upstream) }
                        while try await server.upstreamStatus()?.services != names { await Task.yield() }
                        ids.append(Dictionary(try await server.services().map { ($0.name, $0.serviceID) }) { $1 })
                        await server.stopFollowing()
                        try await ours.kill()
                    }
                    #expect(ids[0] == ids[1] && Set(ids[0].keys) == Set(names))
                }
            }
        }
    }

    @Test func memberBoardsFindWhatTheMasterShowsFromThere() async throws {
        try await MortalDirectory.with { there in
            _ = try await there.server.register(ProbeTests.probeObject(), as: "Theirs")
            try await withFollower(of: there.endpoint) { server, endpoint in
                while try await server.upstreamStatus()?.services != ["Theirs"] { await Task.yield() }
                try await withFolder { folder in
                    let member = try MortalDirectory(in: folder, machineID: "member-machine", keepsJournal: false, master: endpoint)
                    try await member.start()
                    try await member.ending {
                        try await withSession(of: member, machineID: "member-machine") { client in
                            try await client.waitForService("Theirs")
                            let answer: Int32 = try await client.service("Theirs").call("inc", Int32(41))
                            #expect(answer == 42)
                        }
                    }
                }
            }
        }
    }

    @Test func whatIsHostedFromOutsideIsPublishedByNameAlone() throws {
        var table = DirectoryTable()
        let inside = try table.register(info("Inside"), owner: .connection(1), holder: .init(principal: "uid:1000", zone: .internal))
        let outside = try table.register(info("Outside"), owner: .connection(2), holder: .init(principal: "a@b.example", zone: .internet))
        func published(_ patterns: [String]?) throws -> [String] {
            var upstream = UpstreamDirectory(endpoint: try #require(Endpoint("tcp://127.0.0.1:9559")))
            upstream.published = patterns.map { $0.map { NameGlob($0) } }
            return [inside, outside].compactMap { table.entries[$0] }.filter { upstream.isPublished($0) }.map(\.info.name)
        }
        #expect(try published(nil) == ["Inside"])
        #expect(try published([]) == [])
        #expect(try published(["Out*"]) == ["Outside"])
        #expect(try published(["*"]) == ["Inside", "Outside"])
    }

    private func info(_ name: String) -> ServiceInfo {
        ServiceInfo(name: name, machineID: "m", processID: 1, endpoints: [], sessionID: "s")
    }

    @Test func directoryOfOursIsNoForeignOneAndNothingIsNone() async throws {
        try await withDirectory { _, endpoint in
            #expect(await Session.isForeignDirectory(at: endpoint, logger: quiet) == false)
        }
        #expect(await Session.isForeignDirectory(at: try #require(Endpoint("tcp://127.0.0.1:1")), logger: quiet) == false)
    }
}
