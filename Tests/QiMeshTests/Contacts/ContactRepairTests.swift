import Foundation
import Testing
import XMPP

@testable import QiMesh

@Suite struct ContactRepairTests {
    /// What the server's list says of a contact, the time since we asked, and what is sent.
    struct Row: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var item: RosterItem?
        var sinceAsked: Duration?
        var steps: [ContactRepair.Step]
    }

    private static func item(
        _ subscription: RosterItem.Subscription, name: String? = "lamp", asking: Bool = false, preapproved: Bool = false,
        groups: [String] = []
    ) throws -> RosterItem {
        RosterItem(
            jid: try #require(JID("a@x")), name: name, subscription: subscription, isAsking: asking, isPreapproved: preapproved,
            groups: groups)
    }

    static let rows: [Row] = {
        do {
            return [
                Row(testDescription: "all is well", item: try item(.both), steps: []),
                Row(
                    testDescription: "the server lost it", item: nil,
                    steps: [.list(name: "lamp", groups: []), .approve, .subscribe]),
                Row(
                    testDescription: "lost, and asked a minute ago", item: nil, sinceAsked: .seconds(60),
                    steps: [.list(name: "lamp", groups: []), .approve]),
                Row(testDescription: "asked an hour ago", item: try item(.from), sinceAsked: .seconds(3_600), steps: [.subscribe]),
                Row(testDescription: "asked, not answered", item: try item(.none, asking: true, preapproved: true), steps: []),
                Row(testDescription: "it does not see us", item: try item(.to), steps: [.approve]),
                Row(
                    testDescription: "the server calls it otherwise", item: try item(.both, name: "pepper", groups: ["lab"]),
                    steps: [.list(name: "lamp", groups: ["lab"])]),
            ]
        } catch {
            return []
        }
    }()

    @Test func thereAreRows() { #expect(Self.rows.count == 7) }

    @Test(arguments: rows)
    func theListFollowsTheOwner(_ row: Row) {
        let contact = Contact(account: "own@x", jid: "a@x", name: "lamp", admission: .invited, since: .distantPast)
        #expect(ContactRepair.steps(contact, item: row.item, sinceAsked: row.sinceAsked) == row.steps)
    }

    @Test func aContactWithoutANameKeepsTheServers() throws {
        let contact = Contact(account: "own@x", jid: "a@x", admission: .accept, since: .distantPast)
        #expect(ContactRepair.steps(contact, item: try Self.item(.both, name: "theirs"), sinceAsked: nil) == [])
    }
}
