@testable import QiMesh
import QiMeshTesting
@testable import QiMessaging
import QiWire
import Testing

extension Live {
    /// Which key is which device (reference xmpp §6.3), with devices that do not keep to it.
    @Suite struct PinningTests {
        @Test func bothPinTheOtherAtTheFirstCall() async throws {
            try await withMesh { mesh in
                #expect(try mesh.desk.pin(of: mesh.pepper.jid) == nil)
                #expect(try mesh.pepper.pin(of: mesh.desk.jid) == nil)
                try await mesh.desk.session { session in
                    let service = try await session.service("pepper/Peer")
                    #expect(try await service.call("echo_int32", Int32(1)) == Int32(1))
                }
                #expect(try mesh.desk.pin(of: mesh.pepper.jid) == mesh.pepper.fingerprint())
                #expect(try mesh.pepper.pin(of: mesh.desk.jid) == mesh.desk.fingerprint())
                let told = try await mesh.desk.control { try await $0.trusted() }
                #expect(told.map(\.jid) == [mesh.pepper.jid])
            }
        }

        /// The device that opens a tunnel names somebody else, or means somebody else.
        @Test func wrongNamesOfACallerEndTheTunnel() async throws {
            try await withMesh(others: ["carol"]) { mesh in
                try await withFake("carol", in: mesh, invitedBy: mesh.pepper) { carol in
                    let honest = carol.names(to: mesh.pepper.jid)
                    let lies = [
                        TunnelNames(from: mesh.desk.jid, to: honest.to), TunnelNames(from: honest.from, to: mesh.desk.jid),
                        TunnelNames(from: "", to: ""), TunnelNames(from: honest.from + "/qimesh", to: honest.to),
                    ]
                    for lie in lies {
                        let refused = await #expect(throws: QiError.self) { _ = try await carol.open(to: mesh.pepper, saying: lie) }
                        #expect(refused?.code == .denied, "\(lie)")
                        #expect(refused?.message.contains("the other side of the tunnel calls itself") == true, "\(refused as Any)")
                    }
                    let silent = await #expect(throws: QiError.self) { _ = try await carol.open(to: mesh.pepper, saying: nil) }
                    #expect(silent?.message.contains("does not say who it is") == true)
                    #expect(try mesh.pepper.pin(of: carol.jid) == nil)
                    let tunnel = try await carol.open(to: mesh.pepper, saying: honest)
                    #expect(try await tunnel.lookUp("Peer") == nil)
                    #expect(try mesh.pepper.pin(of: carol.jid) == carol.identity.fingerprint)
                }
            }
        }

        /// The device that answers a tunnel does.
        @Test func wrongNamesOfTheOtherSideEndTheTunnel() async throws {
            try await withMesh(others: ["carol"]) { mesh in
                try await withFake("carol", in: mesh, invitedBy: mesh.desk) { carol in
                    try await mesh.desk.session { session in
                        let honest = carol.names(to: mesh.desk.jid)
                        for lie in [
                            TunnelNames(from: mesh.pepper.jid, to: honest.to), TunnelNames(from: honest.from, to: mesh.pepper.jid),
                        ] {
                            carol.accept(saying: lie)
                            let text = "the other side of the tunnel calls itself \(lie.from) and us \(lie.to)"
                            // After a failure desk goes on for whoever waits for the service, and an attempt that is under way has heard
                            // what carol said before: this look-up shares its outcome.
                            _ = try await eventually("desk refuses a device that says \(lie)") {
                                let refused = await #expect(throws: QiError.self) { _ = try await session.service("carol/Any") }
                                return refused?.message.contains(text) == true ? true : nil
                            }
                        }
                        let pinned = try mesh.desk.pin(of: carol.jid)
                        #expect(pinned == nil)
                    }
                }
            }
        }

        /// A device that shows the key of another one: both ways refused, and nothing pinned.
        @Test func aKeyOfAnotherDeviceIsRefused() async throws {
            try await withMesh(others: ["carol"]) { mesh in
                // Makes desk's key known to pepper, and pepper's to desk.
                try await mesh.desk.session { _ = try await $0.service("pepper/Peer") }
                let desks = try DeviceIdentity.loadOrCreate(directory: mesh.desk.paths.stateDirectory)
                try await withFake("carol", in: mesh, invitedBy: mesh.pepper, identity: desks) { carol in
                    await #expect(throws: (any Error).self) {
                        _ = try await carol.open(to: mesh.pepper, saying: carol.names(to: mesh.pepper.jid))
                    }
                    #expect(try mesh.pepper.pin(of: carol.jid) == nil)
                    let shown = try await mesh.pepper.control { try await $0.trust(carol.jid) }
                    #expect(shown.refused == "\(desks.fingerprint)")
                    #expect(try await mesh.pepper.row(of: "carol")?.state == "refused")
                    carol.accept(saying: carol.names(to: mesh.pepper.jid))
                    try await mesh.pepper.session { session in
                        let refused = await #expect(throws: QiError.self) { _ = try await session.service("carol/Any") }
                        #expect(refused?.message.contains("which is pinned to \(mesh.desk.jid)") == true)
                        #expect(refused?.message.contains("qimesh trust \(mesh.desk.jid) --forget") == true)
                    }
                    #expect(try mesh.pepper.pin(of: carol.jid) == nil)
                }
            }
        }

        /// The same address with a new key, until its owner says that it is right.
        @Test func aChangedKeyIsRefusedUntilAccepted() async throws {
            try await withMesh(others: ["carol"]) { mesh in
                let first = try DeviceIdentity.loadOrCreate(directory: mesh.desk.paths.stateDirectory + "/first")
                let second = try DeviceIdentity.loadOrCreate(directory: mesh.desk.paths.stateDirectory + "/second")
                try await withFake("carol", in: mesh, invitedBy: mesh.pepper, identity: first) { carol in
                    _ = try await carol.open(to: mesh.pepper, saying: carol.names(to: mesh.pepper.jid))
                }
                try await withFake("carol", in: mesh, invitedBy: mesh.pepper, identity: second) { carol in
                    await #expect(throws: (any Error).self) {
                        _ = try await carol.open(to: mesh.pepper, saying: carol.names(to: mesh.pepper.jid))
                    }
                    #expect(try mesh.pepper.pin(of: carol.jid) == first.fingerprint)
                    try await mesh.pepper.acceptKey(of: carol.jid, "\(second.fingerprint)")
                    let tunnel = try await carol.open(to: mesh.pepper, saying: carol.names(to: mesh.pepper.jid))
                    #expect(try await tunnel.lookUp("Peer") == nil)
                }
            }
        }
    }
}
