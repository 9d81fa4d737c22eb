@testable import QiMessaging
import Testing

/// An unmodified Python client and a service in Swift.
@Suite(.timeLimit(.minutes(8)))
struct SwiftServiceInteropTests {
    @Test func inTheDirectorysOwnProcess() async throws {
        try await withHome { home in
            try await withDirectory(home: home) { directory, url in
                _ = try await directory.register(PeerService.object(), as: "Peer")
                try await runBattery(url, home: home)
            }
        }
    }

    @Test func hostedByASessionOnOurDirectory() async throws {
        try await withHome { home in
            try await withDirectory(home: home) { _, url in
                try await withSession(url, home: home) { session in
                    _ = try await session.register(PeerService.object(), as: "Peer")
                    try await runBattery(url, home: home)
                }
            }
        }
    }

    @Test func hostedByASessionOnLibqisDirectory() async throws {
        try await withHome { home in
            try await withPeer("directory.py", [], home: home) { directory in
                let url = try await directory.requiredLine()
                try await withSession(url, home: home) { session in
                    _ = try await session.register(PeerService.object(), as: "Peer")
                    try await runBattery(url, home: home)
                }
            }
        }
    }
}
