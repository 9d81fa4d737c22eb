import Glibc
import NIOCore
import NIOPosix
@testable import QiMessaging
import QiWire
import Testing

@Suite(.timeLimit(.minutes(8)))
struct ListeningTests {
    private func status(_ path: String) -> stat? {
        var status = stat()
        return lstat(path, &status) == 0 ? status : nil
    }

    /// An object that tells where its callers come from.
    private var who: ObjectBuilder {
        var builder = ObjectBuilder()
        builder.advertiseMethod("origin", "()", returns: "s") { _, context in .string(QiString("\(context.origin)")) }
        return builder
    }

    @Test func aSessionListensOnASocketOfItsOwnAndOnLoopback() async throws {
        try await withDirectory { _, endpoint in
            var socket = ""
            try await withSession(endpoint) { host in
                _ = try await host.register(who, as: "Who")
                let endpoints = try await host.info(of: "Who").endpoints
                #expect(endpoints.count == 2)
                #expect(endpoints.contains { $0.hasPrefix("tcp://127.0.0.1:") })
                let found = endpoints.compactMap(Endpoint.init).first { $0.isUnix }
                let unix = try #require(found)
                guard case .unix(let path) = unix.kind else { return }
                socket = path
                #expect(status(path)?.st_mode == S_IFSOCK | 0o600)
                let parent = path.split(separator: "/").dropLast().map { "/\($0)" }.joined()
                let folder = try #require(status(parent))
                #expect(folder.st_mode == S_IFDIR | 0o700 && folder.st_uid == getuid())
                try await withSession(endpoint) { client in
                    let origin: String = try await client.service("Who").call("origin")
                    #expect(origin == "unix, user \(getuid())")
                }
            }
            #expect(!socket.isEmpty && status(socket) == nil)
        }
    }

    @Test func twoObjectsAtOnceShareTheListeners() async throws {
        try await withDirectory { _, endpoint in
            try await withSession(endpoint) { host in
                async let one = host.register(who, as: "One")
                async let two = host.register(who, as: "Two")
                _ = try await (one, two)
                let endpoints = try await (host.info(of: "One").endpoints, host.info(of: "Two").endpoints)
                #expect(endpoints.0 == endpoints.1)
            }
        }
    }

    @Test func aWildcardListsEveryAddressLoopbackFirst() async throws {
        try await withDirectory { _, endpoint in
            var options = Session.Options()
            options.machineID = "test-machine"
            options.logger = quiet
            options.callsInProcess = false
            options.listen = ["tcp://0.0.0.0:0"]
            try await Session.with(endpoint.text, options: options) { host in
                _ = try await host.register(who, as: "Who")
                let endpoints = try await host.info(of: "Who").endpoints.compactMap(Endpoint.init)
                #expect(endpoints.first?.isLoopback == true)
                #expect(endpoints.count == NetworkAddresses.current().count { !$0.contains(":") })
                #expect(!endpoints.contains { $0.text.contains("0.0.0.0") })
            }
        }
    }

    @Test func addressesAreOrderedAndLinkLocalOnesLeftOut() {
        let order = NetworkAddresses.order(["10.0.0.2", "::1", "fe80::1%eth0", "2001:db8::1", "127.0.0.1", "FE80::2", "10.0.0.2", "192.168.1.1"])
        #expect(order == ["127.0.0.1", "::1", "10.0.0.2", "192.168.1.1", "2001:db8::1"])
    }

    @Test func changedAddressesArePublished() async throws {
        try await withDirectory { directory, endpoint in
            try await withSession(endpoint) { host in
                _ = try await host.register(who, as: "Who")
                let core = host.core
                try await host.loop.run { (_) async throws(QiError) in
                    core.value.publish(["tcp://127.0.0.1:1", "tcp://10.9.8.7:1"])
                }
                // Both go over the session's one directory connection, in order.
                var endpoints: [String] = []
                while endpoints.count != 2 || endpoints.last?.hasPrefix("tcp://10.9.8.7") != true {
                    endpoints = try await host.info(of: "Who").endpoints
                }
                #expect(try await directory.services().first?.endpoints == ["tcp://127.0.0.1:1", "tcp://10.9.8.7:1"])
            }
        }
    }

    @Test func whatEndsListeningDoesNotEndTheService() async throws {
        try await withFolder { folder in
            for address in ["tcp://127.0.0.1:0", "unix:\(folder)/socket"] {
                let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: quiet)
                let directory = try await DirectoryServer.make(on: loop, machineID: "m")
                let listener = try await directory.listen(at: #require(Endpoint(address)))
                try await withClient(listener.endpoint) { client in
                    listener.interrupt()
                    try await client.expectAlive()
                }
                var reached = false
                while !reached {
                    do {
                        try await withClient(listener.endpoint) { try await $0.expectAlive() }
                        reached = true
                    } catch is IOError, is NIOConnectionError {}
                }
                await listener.close()
                let late = await #expect(throws: (any Error).self) { try await withClient(listener.endpoint) { _ in } }
                #expect(late != nil)
                await loop.shutDown()
            }
        }
    }

    /// A connection that is reset before it is accepted ends libqi's acceptor (wire reference §29).
    @Test func resetsBeforeAcceptHarmNobody() async throws {
        try await withDirectory { directory, endpoint in
            guard case .tcp(_, let port) = endpoint.kind else { return }
            // On the loop, so that it cannot accept meanwhile.
            try await directory.loop.run { (_) async throws(QiError) in
                for _ in 0..<200 {
                    let stranger = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
                    // A `sockaddr_in`: family, port and address, then padding.
                    let address = [UInt8(AF_INET), 0, UInt8(port >> 8), UInt8(port & 255), 127, 0, 0, 1] + [UInt8](repeating: 0, count: 8)
                    let result = address.withUnsafeBytes { bytes in
                        bytes.withMemoryRebound(to: sockaddr.self) { connect(stranger, $0.baseAddress, socklen_t(bytes.count)) }
                    }
                    // A `linger`: on, for no time, which resets.
                    let now: [Int32] = [1, 0]
                    setsockopt(stranger, SOL_SOCKET, SO_LINGER, now, 8)
                    close(stranger)
                    guard result == 0 else { throw QiError(.invalid, "not connected: \(errno)") }
                }
            }
            try await withClient(endpoint) { try await $0.expectAlive() }
        }
    }

    /// One endpoint that libqi's URI parser refuses makes every libqi client refuse the whole list (wire reference §19).
    @Test func anUnparsableEndpointOfAStrangerIsNotPassedOn() async throws {
        try await withDirectory { _, endpoint in
            try await withClient(endpoint) { stranger in
                let info = ServiceInfo(
                    name: "Strange", serviceID: 0, machineID: "test-machine", processID: 1,
                    endpoints: ["tcp://127.0.0.1:x", "tcp://10.0.0.1:9", "", "no uri", "://", "tcp://10.0.0.1:99999"], sessionID: "s", objectUID: [])
                let register = ActionAddress(.serviceDirectory, action: WellKnownActions.registerService)
                let signature = Signature(.tuple([ServiceInfo.signature.type]))
                let answer = try await stranger.call(register, id: 7, [info.qiValue], signature)
                if answer.kind == .reply {
                    let ready = ActionAddress(.serviceDirectory, action: WellKnownActions.serviceReady)
                    _ = try await stranger.call(ready, id: 8, [answer.value("I")], "(I)")
                }
                try await withSession(endpoint) { session in
                    let services = try await session.services()
                    let all = services.flatMap(\.endpoints)
                    #expect(all.allSatisfy { Endpoint($0) != nil }, "\(all)")
                    let error = await #expect(throws: QiError.self) { _ = try await session.service("Strange", deadline: .seconds(1)) }
                    #expect(error != nil)
                    #expect(try await session.services().count == services.count)
                }
            }
        }
    }

    /// Owners whose machine vanishes silently are noticed within 30 s, because the kernel looks (wire reference §1).
    @Test func acceptedSocketsWatchTheirPeer() async throws {
        try await withDirectory { directory, endpoint in
            try await withClient(endpoint) { _ in
                let core = directory.directory
                let channel = try await directory.loop.run { (_) async throws(QiError) in core.value.connections.values.first?.channel }
                let accepted = try #require(channel)
                #expect(try await accepted.getOption(.socketOption(.so_keepalive)).get() == 1)
                let expected: [(CInt, CInt)] = [(TCP_NODELAY, 1), (TCP_KEEPIDLE, 10), (TCP_KEEPINTVL, 5), (TCP_KEEPCNT, 3), (TCP_USER_TIMEOUT, 25_000)]
                for (name, value) in expected {
                    let option = ChannelOptions.tcpOption(NIOBSDSocket.Option(rawValue: name))
                    #expect(try await accepted.getOption(option).get() == value, "option \(name)")
                }
            }
        }
    }

    // MARK: - The private folder

    @Test func theFolderIsMadePrivate() async throws {
        try await withFolder { folder in
            let made = try PrivateSockets.folder(runtime: folder)
            #expect(made == "\(folder)/qimesh")
            #expect(status(made)?.st_mode == S_IFDIR | 0o700)
            chmod(made, 0o755)
            #expect(try PrivateSockets.folder(runtime: folder) == made)
            #expect(status(made)?.st_mode == S_IFDIR | 0o700)
        }
    }

    @Test func whatIsNoFolderOfOursIsNotUsed() async throws {
        try await withFolder { folder in
            symlink("/tmp", "\(folder)/qimesh")
            // Not the link: what is used instead.
            let instead = "/tmp/qimesh-\(getuid())"
            for runtime in [folder, nil, "relative"] {
                let used = try PrivateSockets.folder(runtime: runtime)
                #expect(used == instead)
            }
        }
    }

    @Test func onlyTheDeadAreRemoved() async throws {
        try await withFolder { folder in
            try await withDirectory(at: "unix:\(folder)/alive.sock") { _, endpoint in
                let dead = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
                var address = sockaddr_un()
                address.sun_family = sa_family_t(AF_UNIX)
                withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: "\(folder)/dead.sock".utf8) }
                let bound = withUnsafePointer(to: &address) { pointer in
                    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(dead, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
                }
                close(dead)
                #expect(bound == 0)
                let file = open("\(folder)/file.sock", O_CREAT | O_WRONLY, 0o600)
                close(file)
                PrivateSockets.removeStale(in: folder, olderThan: 60)
                #expect(status("\(folder)/dead.sock") != nil)
                PrivateSockets.removeStale(in: folder, olderThan: 0)
                #expect(status("\(folder)/dead.sock") == nil)
                #expect(status("\(folder)/file.sock") != nil)
                try await withClient(endpoint) { try await $0.expectAlive() }
            }
        }
    }
}
