import QiWire

/// What one object counts that a peer has passed in arguments, for as long as others hold it through us: for the connection, and for its
/// principal where a policy judges it. Its description counts as bytes of arguments (``ArgumentBytes``). Confined to the bus loop.
final class PassedObject {
    private let connection: Connection
    private let meter: ArgumentMeter?
    private let bytes: Int

    /// - Throws: `.limit` when the peer has passed too many objects, or too long descriptions of them.
    init(_ metaObject: MetaObject, by connection: Connection) throws(QiError) {
        bytes = metaObject.encodedLength
        try connection.checkPassing(1, describedIn: bytes)
        self.connection = connection
        meter = connection.argumentBytes.meter
        connection.objectsPassed += 1
        meter?.passed()
        connection.keepArguments(bytes)
    }

    deinit {
        connection.objectsPassed -= 1
        meter?.released()
        // With the connection all of it was given up.
        if !connection.isClosed { connection.dropArguments(bytes) }
    }
}
