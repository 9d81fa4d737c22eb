import QiWire

/// Services behind a gateway that are not there yet. libqi's `waitForService` looks a name up once, and then waits for the serviceAdded of
/// that name (`src/messaging/session.cpp`): it is told to the connections that asked for the name, and to no others.
extension ServiceDirectory {
    /// Names that one connection may wait for, and all together.
    static let maximumExpected = (perConnection: 64, all: 1024)

    /// `name` was not found, or is gone: its asker is told when it is there.
    func expect(_ name: String, for connection: Connection) {
        guard !connection.isClosed, !connection.isOutside, !bus.isShutDown, let resolver = resolver(of: name) else { return }
        let waiting = expected[name] ?? []
        guard !waiting.contains(where: { $0 === connection }) else { return }
        guard expected[name] != nil || expected.count < Self.maximumExpected.all,
            (expected.values.count { $0.contains { $0 === connection } }) < Self.maximumExpected.perConnection, resolver.expect(name)
        else { return }
        expected[name] = waiting + [connection]
    }

    /// A service is there that was not.
    func arrived(_ name: String) {
        guard let waiting = expected.removeValue(forKey: name), let id = lookUpID(name) else { return }
        announce(WellKnownActions.serviceAdded, id, name, only: waiting.filter { maySee(name, on: $0) })
    }

    /// `connection` is gone, and waits for nothing any more.
    func stopExpecting(on connection: Connection) {
        for (name, waiting) in expected where waiting.contains(where: { $0 === connection }) {
            let left = waiting.filter { $0 !== connection }
            expected[name] = left.isEmpty ? nil : left
            if left.isEmpty { resolver(of: name)?.stopExpecting(name) }
        }
    }
}
