import Logging
import Synchronization

/// Lines of the log of one kind, for what strangers can cause without end; see ``LineBudget``.
final class RareNotice: Sendable {
    private let message: Logger.Message
    private let logger: Logger
    private let budget = Mutex(LineBudget())

    init(_ message: Logger.Message, _ logger: Logger) {
        self.message = message
        self.logger = logger
    }

    func say(_ metadata: Logger.Metadata) {
        switch budget.withLock({ $0.next(at: .now) }) {
        case .say: logger.notice(message, metadata: metadata)
        case .sayMore: logger.notice("\(message): more of this kind within a minute are not told one by one")
        case .silence: break
        }
    }
}
