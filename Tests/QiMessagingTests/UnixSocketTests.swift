import Glibc
import NIOCore
import NIOPosix
@testable import QiMessaging
import QiWire
import Testing

@Suite(.timeLimit(.minutes(8)))
struct UnixSocketTests {
    private func mode(_ path: String) -> mode_t? {
        var status = stat()
        return lstat(path, &status) == 0 ? status.st_mode : nil
    }

    @Test func isPrivateAndGoesAway() async throws {
        try await withFolder { folder in
            let path = "\(folder)/socket"
            try await withDirectory(at: "unix:\(path)") { directory, endpoint in
                #expect(mode(path) == S_IFSOCK | 0o600)
                try await withSession(endpoint) { session in
                    let services = try await session.services()
                    #expect(services.map(\.endpoints) == [["qi:ServiceDirectory", "unix:\(path)"]])
                }
                try await withClient(endpoint) { _ in
                    let origins = try await directory.loop.run { (_) async throws(QiError) in
                        directory.directory.value.connections.values.map(\.origin)
                    }
                    #expect(origins.contains(.unix(uid: getuid())))
                }
            }
            #expect(mode(path) == nil)
        }
    }

    @Test func aStaleSocketIsReplaced() async throws {
        try await withFolder { folder in
            let path = "\(folder)/socket"
            // A server that died without cleaning up: bound, and closed.
            let dead = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
            let bound = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(dead, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
            }
            close(dead)
            try #require(bound == 0 && mode(path) != nil)
            try await withDirectory(at: "unix:\(path)") { _, endpoint in
                try await withClient(endpoint) { try await $0.expectAlive() }
            }
        }
    }

    @Test func aLiveSocketIsRefused() async throws {
        try await withFolder { folder in
            try await withDirectory(at: "unix:\(folder)/socket") { _, endpoint in
                let error = await #expect(throws: QiError.self) {
                    try await withDirectory(at: endpoint.text) { _, _ in }
                }
                #expect(error?.code == .conflict)
                try await withClient(endpoint) { try await $0.expectAlive() }
            }
        }
    }

    @Test func aFileIsNotReplaced() async throws {
        try await withFolder { folder in
            let path = "\(folder)/precious"
            let file = open(path, O_CREAT | O_WRONLY, 0o644)
            close(file)
            let error = await #expect(throws: QiError.self) { try await withDirectory(at: "unix:\(path)") { _, _ in } }
            #expect(error?.code == .conflict)
            #expect(mode(path) == S_IFREG | 0o644)
        }
    }

    @Test func aTakenPortIsRefused() async throws {
        try await withDirectory { _, endpoint in
            let error = await #expect(throws: QiError.self) { try await withDirectory(at: endpoint.text) { _, _ in } }
            #expect(error?.code == .conflict)
        }
    }
}
