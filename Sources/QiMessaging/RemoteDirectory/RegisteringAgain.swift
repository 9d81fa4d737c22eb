import Logging
import NIOCore

/// What is registered again at a directory elsewhere that is back. It may refuse one: it still holds the connection of before, whose end it
/// has not noticed, and will within 30 s. That one is tried again while the connection lives on which it was refused; the next connection
/// begins anew. Confined to the bus loop.
struct RegisteringAgain<Item> {
    let bus: Bus
    /// Registers one.
    let register: nonisolated(nonsending) (Item, RemoteObject) async throws(QiError) -> Void
    /// Whether it is still to be registered, on this connection.
    let isWanted: (Item, Connection) -> Bool
    /// Whether an error tells of the way, and not of what the directory says.
    let isLoss: (QiError) -> Bool
    /// What messages call one.
    let name: (Item) -> String
    /// The first pause before one is tried again.
    let firstPause: TimeAmount
    /// How long one is tried, and what becomes of it then; nil: as long as the connection lives.
    let limit: (time: TimeAmount, end: (Item, QiError) -> Void)?

    /// Registers all, each once; what is refused is tried again later.
    ///
    /// - Throws: when the way is lost.
    nonisolated(nonsending) func all(_ items: [Item], at directory: RemoteObject) async throws(QiError) {
        guard let connection = directory.connection else { throw directory.lostError }
        for item in items where isWanted(item, connection) {
            do throws(QiError) {
                try await register(item, directory)
            } catch {
                if isLoss(error) || directory.connection !== connection { throw error }
                bus.logger.warning(
                    "a service is not registered again yet",
                    metadata: [LogKeys.service: "\(name(item))", LogKeys.peer: "\(directory.name)", LogKeys.error: "\(error.message)"])
                later(item, at: directory, after: error)
            }
        }
    }

    /// Tries one until it is registered, or not wanted any more.
    func later(_ item: Item, at directory: RemoteObject, after first: QiError? = nil) {
        guard let connection = directory.connection else { return }
        let end = limit.map { NIODeadline.now() + $0.time } ?? .distantFuture
        bus.enqueue {
            var backoff = Backoff(first: firstPause, most: .seconds(5))
            var last = first
            while NIODeadline.now() < end {
                await bus.pause(last.map { backoff.next(after: $0) } ?? backoff.next())
                guard !bus.isShutDown, directory.connection === connection, isWanted(item, connection) else { return }
                do throws(QiError) { return try await register(item, directory) } catch { last = error }
                bus.logger.debug(
                    "still not registered", metadata: [LogKeys.service: "\(name(item))", LogKeys.error: "\(last?.message ?? "")"])
            }
            if let last { limit?.end(item, last) }
        }
    }
}
