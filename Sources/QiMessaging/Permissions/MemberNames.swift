public import QiWire

/// The members of an object by name, and what can be done with each: what visibility is decided by.
public struct MemberNames: Sendable, Sequence {
    private let members: [(Access, String)]

    /// The object's own members: generic ones go with the service.
    public init(_ metaObject: MetaObject) {
        let isOwn = { (uid: UInt32) in uid >= WellKnownActions.firstUserAction }
        var members: [(Access, String)] = metaObject.methods.filter { isOwn($0.uid) }.map { (.call, $0.name) }
        members += metaObject.signals.filter { isOwn($0.uid) }.flatMap { [(.subscribe, $0.name), (.emit, $0.name)] }
        members += metaObject.properties.flatMap { [(.read, $0.name), (.write, $0.name)] }
        self.members = members
    }

    public func makeIterator() -> some IteratorProtocol<(Access, String)> { members.makeIterator() }
}
