@testable import QiMesh
import QiMeshTesting
@testable import QiMessaging
import QiWire
import Testing
import XMPP

extension Live {
    /// Ending a device's access, and changing keys.
    @Suite struct RevokingTests {
        /// What runs ends within a second, in both directions, and nothing begins again.
        @Test func revokingEndsALiveTunnelWithinASecond() async throws {
            try await withMesh { mesh in
                try await mesh.desk.session { session in
                    let service = try await session.service("pepper/Peer")
                    #expect(try await service.call("echo_int32", Int32(1)) == Int32(1))
                    #expect(try await mesh.pepper.server().deviceLinks().incoming.map(\.device) == [mesh.desk.jid])
                    let start = ContinuousClock.now
                    try await mesh.pepper.revoke("desk")
                    _ = try await eventually("the tunnel has ended") {
                        try await mesh.pepper.server().deviceLinks().incoming.isEmpty ? true : nil
                    }
                    #expect(ContinuousClock.now - start < .seconds(1))
                    await #expect(throws: QiError.self) { _ = try await service.call("echo_int32", arguments: [.int32(2)], deadline: .seconds(5)) }
                    await #expect(throws: QiError.self) { _ = try await session.service("pepper/Peer", deadline: .seconds(5)) }
                }
                #expect(try mesh.pepper.pin(of: mesh.desk.jid) == nil)
                _ = try await eventually("desk is in no list") { try await mesh.pepper.row(of: mesh.desk.jid) == nil ? true : nil }
                #expect(try await mesh.pepper.server().deviceLinks().incoming.isEmpty)
            }
        }

        /// `qimesh trust` with another key, while a tunnel runs with the one of before.
        @Test func aTunnelEndsWithinASecondWhenItsKeyIsReplaced() async throws {
            try await withMesh { mesh in
                try await mesh.desk.session { session in
                    let service = try await session.service("pepper/Peer")
                    #expect(try await service.call("echo_int32", Int32(1)) == Int32(1))
                    let other = "SHA256:" + String(repeating: "A", count: 43)
                    let start = ContinuousClock.now
                    try await mesh.pepper.acceptKey(of: "desk", other)
                    _ = try await eventually("the tunnel has ended") {
                        try await mesh.pepper.server().deviceLinks().incoming.isEmpty ? true : nil
                    }
                    #expect(ContinuousClock.now - start < .seconds(1))
                    await #expect(throws: QiError.self) {
                        _ = try await service.call("echo_int32", arguments: [.int32(2)], deadline: .seconds(5))
                    }
                    #expect(try mesh.pepper.pin(of: mesh.desk.jid).map { "\($0)" } == other)
                }
            }
        }

        /// The operator of pepper's server puts the contact back: the key still keeps it out.
        @Test func aServerCannotLetARevokedDeviceInAgain() async throws {
            try await withMesh { mesh in
                try await mesh.desk.session { session in _ = try await session.service("pepper/Peer") }
                try await mesh.pepper.revoke("desk")
                let desk = try #require(JID(mesh.desk.jid))
                let pepper = try #require(JID(mesh.pepper.jid))
                // Whoever has the account can do to the contact list what its server can.
                try await withStranger("pepper", in: mesh, resource: "operator") { operator_ in
                    try await operator_.setRosterItem(desk, name: "desk")
                    try await operator_.approveSubscription(of: desk)
                    try await operator_.subscribe(to: desk)
                    _ = try await mesh.desk.invite("\(pepper)", "pepper")
                    _ = try await eventually("they are contacts again") {
                        try await mesh.pepper.row(of: "\(desk)")?.subscription == "both" ? true : nil
                    }
                    try await mesh.desk.session { session in
                        _ = await #expect(throws: QiError.self) { _ = try await session.service("pepper/Peer", deadline: .seconds(10)) }
                    }
                    let pinned = try mesh.pepper.pin(of: "\(desk)")
                    #expect(pinned == nil)
                    let told = try await mesh.pepper.control { try await $0.trust("\(desk)") }
                    #expect(told.revoked)
                }
            }
        }

        /// The owner's own word lets it in again.
        @Test func approvingReadmits() async throws {
            try await withMesh { mesh in
                try await mesh.pepper.revoke(mesh.desk.jid)
                _ = try await eventually("desk is out") { try await mesh.pepper.row(of: mesh.desk.jid) == nil ? true : nil }
                try await mesh.meet()
                try await mesh.desk.session { session in
                    let service = try await session.service("pepper/Peer")
                    #expect(try await service.call("echo_int32", Int32(3)) == Int32(3))
                }
                #expect(try mesh.pepper.pin(of: mesh.desk.jid) == mesh.desk.fingerprint())
            }
        }

        /// A new key: refused by every contact until its owner accepts it, and old tokens are worth nothing.
        @Test func aRotatedKeyIsRefusedUntilAccepted() async throws {
            try await withMesh { mesh in
                try await mesh.desk.session { session in
                    let service = try await session.service("pepper/Peer")
                    #expect(try await service.call("echo_int32", Int32(1)) == Int32(1))
                    let old = try mesh.pepper.fingerprint()
                    let token = try await mesh.pepper.enroll().token
                    let rotated = try await mesh.pepper.control { try await $0.rotateKey() }
                    let new = try mesh.pepper.fingerprint()
                    #expect(new != old)
                    #expect(rotated.old == "\(old)")
                    #expect(rotated.fingerprint == "\(new)")
                    #expect(rotated.contacts == [mesh.desk.jid])
                    #expect(rotated.cancelledTokens == 1)
                    #expect(try await mesh.pepper.control { try await $0.identity() }.fingerprint == "\(new)")
                    let refused = try await eventually("desk refuses the new key") { () -> String? in
                        do {
                            // Another session, for this one has the service and need not ask.
                            _ = try await mesh.desk.session { try await $0.service("pepper/Peer", deadline: .seconds(10)) }
                            return nil
                        } catch let error as QiError {
                            return error.message.contains("another key than before") ? error.message : nil
                        }
                    }
                    #expect(refused.contains("\(new)"))
                    try await mesh.desk.acceptKey(of: "pepper", "\(new)")
                    _ = try await eventually("desk takes the new key") {
                        try await session.service("pepper/Peer").call("echo_int32", Int32(2)) == Int32(2) ? true : nil
                    }
                    #expect(try PairingInvitation(parsing: token).key == old)
                }
            }
        }
    }
}
