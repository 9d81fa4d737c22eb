public import QiWire

/// An object of this process that others use: emits its signals and sets its properties, from anywhere.
public struct HostedObject: Sendable {
    let object: DynamicObject
    /// The id its directory gave it when it was registered; of an object sent as a value, that of the service in whose conversation it was sent; 0 within
    /// this process.
    public let serviceID: UInt32

    init(object: DynamicObject, serviceID: UInt32) {
        self.object = object
        self.serviceID = serviceID
    }

    private var metaObject: MetaObject { object.metaObject }

    /// Emits a signal. The arguments are converted to its signature.
    ///
    /// - Throws: `.notFound` for no such signal, `.invalid` when the arguments do not fit.
    public func emit(_ signal: String, _ arguments: [QiValue]) throws(QiError) {
        guard let meta = metaObject.signal(named: signal), let found = object.members.signal(meta.uid) else {
            throw QiError(.notFound, "no signal \"\(signal)\"")
        }
        object.emit(meta.uid, try found.fitting(arguments))
    }

    /// Writes a property and tells its subscribers; the value is converted to its type.
    ///
    /// - Throws: `.notFound` for no such property, `.invalid` when the value does not fit.
    public func setProperty(_ name: String, _ value: QiValue) throws(QiError) {
        guard metaObject.property(named: name) != nil else { throw QiError(.notFound, "no property \"\(name)\"") }
        do {
            try object.setProperty(.string(name), value)
        } catch {
            throw QiError(.invalid, "the value does not fit \(name): \(error.callText)")
        }
    }
}

extension MemberTable.Signal {
    /// The arguments converted to the signal's types.
    ///
    /// - Throws: `.invalid` when they do not fit.
    func fitting(_ arguments: [QiValue]) throws(QiError) -> [QiValue] {
        do throws(WireError) {
            let tuple = QiValue.tuple(arguments)
            if signature.type == .dynamic { return arguments }
            return try QiArguments(tuple.converted(from: tuple.inferredType, to: signature.type), as: signature.type).values
        } catch {
            throw QiError(.invalid, "the arguments do not fit \(meta.name)\(meta.signature): \(error.message)")
        }
    }
}
