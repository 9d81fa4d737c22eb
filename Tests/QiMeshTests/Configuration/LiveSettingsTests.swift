@testable import QiMesh
import Testing

/// What a running node takes over from another configuration, and what it lists.
struct LiveSettingsTests {
    private static func parse(_ text: String) throws -> MeshConfiguration {
        try MeshConfiguration.parse(text, path: "qimesh.yaml", directory: "/", home: "/")
    }

    @Test func passwordIsShownOnlyWhereAnAccountSaysSo() throws {
        let configuration = try Self.parse(
            "xmpp:\n  - {jid: a@b.test, password-file: pw}\n  - {jid: c@d.test, password-file: pw, sasl-plain: true}\n")
        #expect(configuration.xmpp.map(\.allowsPlain) == [false, true])
    }

    @Test func accountsNameAndModelAreTakenOverAndTheRestIsListed() throws {
        let before = try Self.parse("device: {name: a, model: m}\nxmpp: [{jid: a@b.test, password-file: pw}]\n")
        let after = try Self.parse(
            "device: {name: b, model: n, role: member, directory: \"tcp://10.0.0.1:9559\"}\nlimits: {calls-per-peer: 7}\n"
                + "xmpp: [{jid: c@b.test, password-file: pw}]\n")
        #expect(before.settingsForRestart(against: after) == ["device", "limits"])
        let taken = before.taking(after)
        #expect(taken.device.name == "b" && taken.device.model == "n" && taken.device.role == before.device.role)
        #expect(taken.xmpp.map(\.jid) == ["c@b.test"])
        #expect(taken.limits.callsPerPeer == before.limits.callsPerPeer)
        // Taken over once, it is no difference any more.
        #expect(taken.settingsForRestart(against: after) == ["device", "limits"])
        #expect(try before.settingsForRestart(against: Self.parse("device: {name: z, model: m}\n")) == [])
    }
}
