/// The devices of a mesh: who is a contact, and who of them is there.
public struct DeviceList: Sendable {
    let mesh: Mesh

    /// All contacts as far as is known, by name. Nothing is asked: a device that hangs is online here until a reader of ``changes``,
    /// ``asked()`` or a call has found out.
    public var all: [Device] { mesh.gateway.peers.peers().filter { $0.admission != nil }.map { Device($0, mesh: mesh) } }

    /// All contacts, by name, after those that were not heard within the last 8 s have been asked whether they are alive; at most 64 are
    /// asked in a second. Takes as long as they need to answer, about a second when one does not; what comes later is known next time.
    public func asked() async -> [Device] {
        await mesh.gateway.peers.look()
        return all
    }

    /// Those that are there now, then every device that comes, goes, falls silent or answers again, until the mesh is left. Each
    /// iteration begins anew. As long as there is one, devices are asked whether they are alive, each 8 s after it was last heard.
    public var changes: Changes { Changes(list: self) }

    /// The sequence of ``DeviceList/changes``. Several changes of one device that a slow reader has not seen are one.
    public struct Changes: AsyncSequence, Sendable {
        let list: DeviceList

        /// One pass over the changes.
        public struct AsyncIterator: AsyncIteratorProtocol {
            private let list: DeviceList
            private var news: AsyncStream<Void>.AsyncIterator
            private var fold = DeviceChangeFold<Device>()
            private var waiting: ArraySlice<DeviceChange> = []

            init(_ list: DeviceList) {
                self.list = list
                news = list.mesh.gateway.peers.observers.changes(watches: true).makeAsyncIterator()
            }

            /// The next change; nil when the mesh was left or the task cancelled.
            public mutating func next() async -> DeviceChange? {
                while true {
                    if let change = waiting.popFirst() { return change }
                    guard await news.next() != nil else { return nil }
                    await list.mesh.gateway.learnDescriptions(within: .seconds(2))
                    let devices = list.all.map { ($0.jid, $0.state, $0) }
                    waiting = fold.changes(to: devices).map { state, device in
                        switch state {
                        case .online: .online(device)
                        case .stale: .stale(device)
                        case .offline: .offline(device)
                        }
                    }[...]
                }
            }
        }

        /// Begins a pass.
        public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(list) }
    }
}
