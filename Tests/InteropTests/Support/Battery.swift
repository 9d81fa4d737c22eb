import Foundation
import Testing

/// What `client.py` prints for each of its checks.
struct Check: Decodable {
    let name: String
    let ok: Bool
    let ms: Double
    let detail: String
}

/// Puts a service through everything that `client.py` knows; every check is an expectation of the test.
func runBattery(_ url: String, home: String, _ arguments: [String] = []) async throws {
    let peer = try PythonPeer("client.py", ["--url", url] + arguments, home: home)
    // A battery that checks nothing has not passed.
    #expect(try await expectChecks(of: peer).count >= 2)
}

/// Reads the checks that a peer prints until it ends; every one is an expectation of the test.
///
/// - Returns: their names.
func expectChecks(of peer: PythonPeer) async throws -> [String] {
    var names: [String] = []
    while let line = await peer.line() {
        let check = try JSONDecoder().decode(Check.self, from: Data(line.utf8))
        names.append(check.name)
        #expect(check.ok, "\(check.name): \(check.detail)")
    }
    let status = await peer.ended()
    #expect(status == 0, "\(peer.name) ended \(status) after \(names): \(peer.errors.suffix(4000))")
    return names
}

/// Has `client.py` use a service, does away with the service, and expects the client to notice.
func expectRemoval(_ url: String, service: String, home: String, _ removal: () async throws -> Void) async throws {
    let peer = try PythonPeer("client.py", ["--url", url, "--service", service, "--until-removed"], home: home)
    let attached = try await peer.requiredLine()
    #expect(attached.contains("attached"))
    try await removal()
    var last: Check?
    while let line = await peer.line() {
        let check = try JSONDecoder().decode(Check.self, from: Data(line.utf8))
        #expect(check.ok, "\(check.name): \(check.detail)")
        last = check
    }
    #expect(last?.name == "unknown afterwards")
    #expect(await peer.ended() == 0, "\(peer.errors.suffix(4000))")
}
