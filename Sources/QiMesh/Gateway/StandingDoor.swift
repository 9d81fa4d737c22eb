import Foundation
import Logging
import QiMessaging
import ServiceLifecycle
import Synchronization

/// The public door of a node that lives on without it: an address that is not there yet, or that another program has, is waited for.
/// ``run()`` is its lifetime.
final class StandingDoor: Sendable {
    let service: GatewayService
    private let logger: Logger
    private let last = Mutex<(text: String, since: Date)?>(nil)

    private static let firstPause = Duration.seconds(1)
    private static let longestPause = Duration.seconds(30)

    init(_ service: GatewayService, logger: Logger) {
        self.service = service
        self.logger = logger
    }

    /// Why it is not open, and since when; nil while it is.
    var trouble: (text: String, since: Date)? { service.endpoints.isEmpty ? last.withLock { $0 } : nil }

    /// Keeps the door open until the node shuts down.
    ///
    /// - Throws: `configuration` or `identity`, and only when it never was open: then the configuration itself cannot be used.
    func run() async throws {
        var pause = Self.firstPause
        while !Task.isCancelled, !Task.isShuttingDownGracefully {
            do {
                return try await service.run()
            } catch let error as MeshError {
                if last.withLock({ $0 == nil }), error.code == .configuration || error.code == .identity { throw error }
                note(error.hint.map { "\(error.message) (\($0))" } ?? error.message)
            } catch is CancellationError {
                return
            } catch {
                note("\(error)")
            }
            let time = pause
            pause = min(pause * 2, Self.longestPause)
            // Ends early only by the shutdown, which the loop looks at.
            _ = try? await cancelWhenGracefulShutdown { try await Task.sleep(for: time) }
        }
    }

    /// Said once, however often it is tried.
    private func note(_ text: String) {
        let isNews = last.withLock { last in
            guard last?.text != text else { return false }
            last = (text, last?.since ?? Date())
            return true
        }
        if isNews { logger.warning("the gateway is not open, and is tried again", metadata: ["error": "\(text)"]) }
    }
}
