import Synchronization

/// The configuration of a running node, of which parts may be exchanged.
final class CurrentConfiguration: Sendable {
    private let current: Mutex<MeshConfiguration>

    init(_ configuration: MeshConfiguration) { current = Mutex(configuration) }

    var value: MeshConfiguration { current.withLock { $0 } }

    func set(_ configuration: MeshConfiguration) { current.withLock { $0 = configuration } }
}
