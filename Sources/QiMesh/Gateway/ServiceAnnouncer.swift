import Foundation
import Logging
import Synchronization
import XMPP

/// Tells those who see our presence that the services here are others than before, and not which: one item serves all contacts, so names
/// do not belong in it (XEP-0163).
final class ServiceAnnouncer: Sendable {
    private let epoch = UUID().uuidString
    private let generation = Mutex<UInt64>(0)
    private let due = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    private let logger: Logger

    init(logger: Logger) { self.logger = logger }

    /// The services are others now.
    func changed() {
        generation.withLock { $0 += 1 }
        repeatIt()
    }

    /// What was told last is told again: to a server that does not know it, or because each contact sees other services now.
    func repeatIt() { due.continuation.yield() }

    /// Publishes over `client` whenever there is something to tell, at most once a second; until the task is cancelled.
    func run(over client: XMPPClient) async {
        for await _ in due.stream {
            guard client.state.isOnline else { continue }
            let generation = generation.withLock { $0 }
            let item = Element(
                "services", namespace: MeshNamespaces.services, attributes: ["epoch": epoch, "generation": "\(generation)"])
            do {
                try await client.publish(node: MeshNamespaces.services, item)
            } catch {
                logger.debug("services not announced", metadata: ["error": "\(error)"])
            }
            // A service that flaps must not become a stream of notices.
            try? await Task.sleep(for: .seconds(1))
        }
    }
}
