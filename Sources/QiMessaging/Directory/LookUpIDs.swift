import DequeModule

/// The ids of services that a directory does not list itself: those behind a gateway, and hidden ones. Pure.
///
/// An id is one service's for as long as the directory lives, and a name keeps its id until ``retire(_:)`` says that it means another
/// service now. libqi keeps the id of a service in an `int` (`src/messaging/message.cpp`, `onProxyLost`): a client that holds an object
/// of a service from 2^31 on crashes when its session ends. So all ids are below that.
struct LookUpIDs: Equatable {
    private var next: UInt32
    private var nextHidden: UInt32
    private var kept: [String: UInt32] = [:]
    private var order: Deque<String> = []

    /// Looked-up services count from here, behind those that are registered.
    static let first = ServiceIDs.end
    /// Hidden ones count from here.
    static let firstHidden: UInt32 = 0x7FFF_0000
    /// The lowest id that libqi cannot hold.
    static let end: UInt32 = 0x8000_0000
    /// The names whose ids are remembered; one beyond gets another id when it is looked up again.
    static let maximumNames = 4096

    init(next: UInt32 = Self.first, nextHidden: UInt32 = Self.firstHidden) {
        self.next = next
        self.nextHidden = nextHidden
    }

    /// The id of the service of this name; nil when all ids were given out.
    mutating func id(of name: String) -> UInt32? {
        if let known = kept[name] { return known }
        guard next < Self.firstHidden else { return nil }
        defer { next += 1 }
        kept[name] = next
        order.append(name)
        if order.count > Self.maximumNames, let oldest = order.popFirst() { kept[oldest] = nil }
        return next
    }

    /// The name means another service from now on.
    mutating func retire(_ name: String) {
        guard kept.removeValue(forKey: name) != nil, let index = order.firstIndex(of: name) else { return }
        order.remove(at: index)
    }

    /// The id of a hidden service; nil when all were given out.
    mutating func takeHidden() -> UInt32? {
        guard nextHidden < Self.end else { return nil }
        defer { nextHidden += 1 }
        return nextHidden
    }
}
