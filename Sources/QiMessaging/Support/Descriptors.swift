import CQiSystem
import Glibc
import Logging
import NIOCore
import Synchronization

/// The file descriptors of this process: how many it may have, and a few that are kept for its owner's own socket.
public enum Descriptors {
    private struct State {
        var reserved: [Int32] = []
        var isExhausted = false
        /// When it was said last, and whether the end of that was said, too.
        var warned: NIODeadline?
        var isEndUntold = false
    }

    /// A shortage that comes and goes is said so often at most.
    private static let silence = TimeAmount.seconds(60)

    private static let state = Mutex(State())

    /// So many connections of the owner get in when there is no other descriptor left.
    private static let reserve = 8

    /// How many there can be, as it is set now.
    public static var limit: Int {
        let limit = qimesh_descriptor_limit(0)
        return limit > 0 ? Int(limit) : 1024
    }

    /// Raises the soft limit to the hard one, as a process may for itself.
    public static func raiseLimit() { _ = qimesh_descriptor_limit(1) }

    /// Whether there was none left lately, so that listeners wait.
    public static var isExhausted: Bool { state.withLock { $0.isExhausted } }

    // MARK: - Listeners

    /// Keeps the reserve; answers whether it is complete.
    @discardableResult
    static func fillReserve() -> Bool {
        state.withLock { state in
            while state.reserved.count < reserve {
                let descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC)
                guard descriptor >= 0 else { return false }
                state.reserved.append(descriptor)
            }
            return true
        }
    }

    static var hasReserve: Bool { state.withLock { !$0.reserved.isEmpty } }

    /// Gives one of the reserve back to the system, for whoever asks next; false when it is used up.
    static func releaseOne() -> Bool {
        state.withLock { state in
            guard let descriptor = state.reserved.popLast() else { return false }
            close(descriptor)
            return true
        }
    }

    /// There was none left. Said once a minute at most.
    static func exhausted(_ logger: Logger, at now: NIODeadline = .now()) {
        let isNews = state.withLock { state in
            state.isExhausted = true
            if let warned = state.warned, now < warned + silence { return false }
            (state.warned, state.isEndUntold) = (now, true)
            return true
        }
        guard isNews else { return }
        logger.warning(
            "no descriptors are left: new connections wait until others end",
            metadata: ["limit": "\(limit)", "hint": "raise the limit before the start: ulimit -n, or LimitNOFILE= of the systemd unit"])
    }

    /// Whether listeners may go on: the reserve is complete, and there is one more. Said once, if the shortage was.
    static func haveReturned(_ logger: Logger) -> Bool {
        guard fillReserve() else { return false }
        let probe = open("/dev/null", O_RDONLY | O_CLOEXEC)
        guard probe >= 0 else { return false }
        close(probe)
        let isNews = state.withLock { state in
            defer { (state.isExhausted, state.isEndUntold) = (false, false) }
            return state.isEndUntold
        }
        if isNews { logger.notice("descriptors are free again: new connections are accepted", metadata: ["limit": "\(limit)"]) }
        return true
    }
}
