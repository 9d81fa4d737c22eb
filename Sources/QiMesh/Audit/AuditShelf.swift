import QiMessaging

/// Which file a record goes to. Each has its own queue, files and bounds, so that none can push out what the others hold.
enum AuditShelf: CaseIterable {
    /// Denials of those who have proven who they are.
    case known
    /// Calls that were allowed, where all are written down, and services that were let in from outside: as fast as peers please.
    case calls
    /// What was changed: policies, contacts, keys, applications.
    case changes
    /// Denials of those who have proven nothing.
    case strangers

    init(_ record: AuditRecord) {
        if record.place != nil {
            self = .strangers
        } else {
            self =
                switch record.event {
                case "call", "register": .calls
                case "denied", "limited", "refused", "dropped": .known
                default: .changes
                }
        }
    }

    /// The present file of the shelf, beside the one for ``known``: `audit.jsonl`, `audit-calls.jsonl`, `audit-changes.jsonl`,
    /// `audit-strangers.jsonl`.
    func file(beside path: String) -> String {
        let suffix = ".jsonl"
        let stem = path.hasSuffix(suffix) ? String(path.dropLast(suffix.count)) : path
        return switch self {
        case .known: path
        case .calls: stem + "-calls" + suffix
        case .changes: stem + "-changes" + suffix
        case .strangers: stem + "-strangers" + suffix
        }
    }
}
