/// What happened to a device.
public enum DeviceChange: Sendable {
    /// It came, or answers again.
    case online(Device)
    /// It is said to be there, but does not answer.
    case stale(Device)
    /// It went, or is no contact any more.
    case offline(Device)

    /// The device it happened to.
    public var device: Device {
        switch self {
        case .online(let device), .stale(let device), .offline(let device): device
        }
    }
}

/// Turns looks at a list of devices into what happened between them. A device that came and went again between two looks was not
/// there; one that is offline at the first look is no news.
struct DeviceChangeFold<Item> {
    private var known: [String: (state: Device.State, item: Item)] = [:]

    /// - Parameter items: the devices as they are now, each with its address.
    /// - Returns: in the order of `items`, then those that are gone.
    mutating func changes(to items: [(id: String, state: Device.State, item: Item)]) -> [(state: Device.State, item: Item)] {
        var changes: [(state: Device.State, item: Item)] = []
        let before = known
        known = [:]
        for (id, state, item) in items {
            known[id] = (state, item)
            if state != before[id]?.state ?? .offline { changes.append((state, item)) }
        }
        for (id, entry) in before.sorted(by: { $0.key < $1.key }) where known[id] == nil && entry.state != .offline {
            changes.append((.offline, entry.item))
        }
        return changes
    }
}
