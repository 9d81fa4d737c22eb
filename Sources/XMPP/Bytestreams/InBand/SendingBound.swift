import NIOCore
import Synchronization

/// How much may be sent at one time to a server that ended a connection because of what was sent (`policy-violation`, RFC 6120 §4.9.3.14):
/// what has got us disconnected is never sent again. A pure value; time comes in with the events.
struct SendingBound: Hashable, Sendable {
    /// Most bytes of payload in a block.
    var block: Int
    /// Most bytes of stanzas with blocks under way.
    var budget: Int
    /// Connections in a row that were lost without a word soon after the first block.
    private var suspicions = 0

    /// A connection lost within this time of its first block may have been ended for it: the words of a server that closes at once may be
    /// lost.
    private static let suspicious = TimeAmount.seconds(10)
    /// So many in a row are taken for its word.
    private static let suspicionsToBelieve = 2

    /// Nothing was learned yet.
    init(block: Int, budget: Int) {
        self.block = block
        self.budget = budget
    }

    /// What a connection had done when it ended.
    struct Use {
        /// Bytes of payload in its largest block.
        var largestBlock = 0
        /// Most bytes of stanzas with blocks that were under way.
        var mostUnderWay = 0
        /// When the first block went out.
        var began: NIODeadline?
    }

    /// A connection has ended while blocks were under way. True when less may be sent from now on: half the block, half the budget, and no
    /// less than `least`.
    /// - Parameters:
    ///   - streamError: the condition that the server gave; nil for a loss without a word.
    ///   - least: a block of that size is always allowed, twice the bytes of its stanza as well.
    mutating func ended(_ streamError: String?, after use: Use, least: SendingBound, at now: NIODeadline) -> Bool {
        switch streamError {
        case "policy-violation": break
        case nil:
            guard let began = use.began, now - began < SendingBound.suspicious else {
                suspicions = 0
                return false
            }
            suspicions += 1
            guard suspicions >= SendingBound.suspicionsToBelieve else { return false }
        default: return false
        }
        suspicions = 0
        let old = self
        block = max(least.block, min(block, use.largestBlock) / 2)
        budget = max(least.budget, min(budget, use.mostUnderWay) / 2)
        return block < old.block || budget < old.budget
    }
}

/// The bounds of the accounts that this process has used, for as long as it lives: a client that is made anew for an account goes on with
/// what was learned before.
final class SendingBounds: Sendable {
    /// Of this process.
    static let ofProcess = SendingBounds()

    /// Accounts remembered; a process has a handful.
    private static let most = 64
    private let bounds = Mutex<[JID: SendingBound]>([:])

    /// The bound of an account, a bare address; nil when nothing was learned.
    subscript(account: JID) -> SendingBound? {
        get { bounds.withLock { $0[account] } }
        set {
            bounds.withLock { bounds in
                if bounds.count >= SendingBounds.most, bounds[account] == nil { bounds.removeAll() }
                bounds[account] = newValue
            }
        }
    }
}
