import Foundation
import Logging
import QiMessaging
import ServiceLifecycle
import Synchronization

/// The public door that is waited for: an address that is not there yet, or that another program has, a file that is missing or cannot be
/// used. ``run()`` is its lifetime in a node, which lives on without it; ``runAlone()`` that of one that is a process of its own.
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

    /// Why it is not open, or not at all of its addresses, and since when (nil: since some time); nil while it is.
    var trouble: (text: String, since: Date?)? {
        if service.endpoints.isEmpty { return last.withLock { $0 }.map { ($0.text, $0.since) } }
        return service.lateTrouble.map { ($0, nil) }
    }

    /// Keeps the door open until the node shuts down. Whatever keeps it closed is said once in the log and in ``trouble``, and tried
    /// again after 1 s to 30 s; all files are read again then.
    func run() async { _ = await serve { _ in false } }

    /// Keeps the door open until the process shuts down, as ``run()``.
    ///
    /// - Throws: `system` when all its addresses are those of others, or one is and the others are not there: then another door runs
    ///   already, as a rule.
    func runAlone() async throws(MeshError) {
        let error = await serve { ($0.cause as? QiError)?.isOfTakenAddress == true }
        if let error { throw error }
    }

    /// Returns at the shutdown, or with the first failure that is final.
    private func serve(isFinal: (MeshError) -> Bool) async -> MeshError? {
        var pause = Self.firstPause
        while !Task.isCancelled, !Task.isShuttingDownGracefully {
            do {
                try await service.run()
                return nil
            } catch let error as MeshError {
                if isFinal(error) { return error }
                note(error.hint.map { "\(error.message) (\($0))" } ?? error.message)
            } catch is CancellationError {
                return nil
            } catch {
                note("\(error)")
            }
            let time = pause
            pause = min(pause * 2, Self.longestPause)
            // Ends early only by the shutdown, which the loop looks at.
            _ = try? await cancelWhenGracefulShutdown { try await Task.sleep(for: time) }
        }
        return nil
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
