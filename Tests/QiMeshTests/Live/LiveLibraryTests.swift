import Logging
import QiMesh
import QiMeshTesting
import QiMessaging
import Testing

extension Live {
    /// The library as a program uses it: two of them, each with an account, on a server of their own.
    @Suite struct LibraryTests {
        @Service protocol Lamp {
            func shine(_ brightness: Double) async throws -> String
            var switched: Signal<Bool> { get }
        }

        private actor TableLamp: Lamp {
            nonisolated let switched = Signal<Bool>()

            func shine(_ brightness: Double) -> String {
                switched.emit(brightness > 0)
                return "shining at \(brightness)"
            }
        }

        /// Runs `body` with the options to join as a user of a server of the test's own.
        private func withServer(
            _ users: [String], _ body: (ProsodyServer, (String) throws -> (PasswordSource, Mesh.Options)) async throws -> Void
        ) async throws {
            let xmpp = try ProsodyServer.start(accounts: users.map { ($0, LiveMesh.password) })
            defer { xmpp.stop() }
            try await withTemporaryDirectory { folder in
                try await body(xmpp) { user in
                    var options = Mesh.Options()
                    options.name = user
                    options.server = "\(xmpp.host):\(xmpp.port)"
                    options.caFile = xmpp.caFile
                    options.stateDirectory = "\(folder)/\(user)"
                    options.logger.logLevel = .critical
                    return (.file(try passwordFile(in: folder)), options)
                }
            }
        }

        private func passwordFile(in folder: String) throws -> String {
            let path = "\(folder)/password"
            try write(LiveMesh.password, to: path)
            return path
        }

        @Test func aProgramUsesTheServiceOfAnother() async throws {
            try await withServer(["robot", "op"]) { xmpp, place in
                let (password, robotOptions) = try place("robot")
                let (_, operatorOptions) = try place("op")
                let robot = try await Mesh.join(jid: "robot@\(xmpp.domain)", password: password, options: robotOptions)
                _ = try await robot.register(LampBinding(TableLamp()))
                try await Mesh.with(jid: "op@\(xmpp.domain)", password: password, options: operatorOptions) { mesh in
                    var changes = mesh.devices.changes.makeAsyncIterator()
                    try await robot.invite("op@\(xmpp.domain)")
                    try await mesh.invite("robot@\(xmpp.domain)", name: "lamp")
                    let device = try await mesh.device("lamp", waitOnline: .seconds(30))
                    #expect(device.jid == "robot@\(xmpp.domain)" && device.state == .online && device.model == "robot")
                    #expect(try await device.services().map(\.name).contains("Lamp"))
                    let lamp = try await device.service(LampProxy.self)
                    var switched = try await lamp.switched.events().makeAsyncIterator()
                    #expect(try await lamp.shine(0.5) == "shining at 0.5")
                    #expect(try await switched.next() == true)
                    let path = try await device.path
                    #expect(path.isInBand && path.roundTrip > .zero)
                    guard case .online(let came)? = await changes.next() else {
                        Issue.record("the lamp did not come")
                        return
                    }
                    #expect(came.name == "lamp")
                    await robot.leave()
                    guard case .offline(let gone)? = await changes.next() else {
                        Issue.record("the lamp did not go")
                        return
                    }
                    #expect(gone.name == "lamp")
                    let error = await #expect(throws: QiError.self) { _ = try await mesh.device("lamp", waitOnline: .milliseconds(1)) }
                    #expect(error?.code == .offline)
                    #expect(try await mesh.device("lamp").state == .offline)
                }
            }
        }

        @Test func anUnknownDeviceIsNotFound() async throws {
            try await withServer(["op"]) { xmpp, place in
                let (password, options) = try place("op")
                try await Mesh.with(jid: "op@\(xmpp.domain)", password: password, options: options) { mesh in
                    let error = await #expect(throws: QiError.self) { _ = try await mesh.device("nobody") }
                    #expect(error?.code == .notFound)
                    #expect(mesh.devices.all.isEmpty)
                }
            }
        }

        @Test func refusedCredentialsAreSaidAtOnce() async throws {
            try await withServer(["op"]) { xmpp, place in
                let (password, options) = try place("op")
                // Overwrites what `place` wrote.
                guard case .file(let path) = password else { return }
                try write("wrong", to: path)
                let error = await #expect(throws: MeshError.self) {
                    _ = try await Mesh.join(jid: "op@\(xmpp.domain)", password: password, options: options)
                }
                #expect(error?.code == .authentication)
            }
        }

        @Test func theSequenceEndsWithTheMesh() async throws {
            try await withServer(["op"]) { xmpp, place in
                let (password, options) = try place("op")
                let mesh = try await Mesh.join(jid: "op@\(xmpp.domain)", password: password, options: options)
                var changes = mesh.devices.changes.makeAsyncIterator()
                await mesh.leave()
                #expect(await changes.next() == nil)
            }
        }
    }
}
