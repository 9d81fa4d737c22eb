public import QiWire

/// Signals and properties of an implementation.
extension ObjectBuilder {
    /// Adds a signal of an implementation: what it emits is sent.
    @discardableResult
    public mutating func advertise<each Value: QiConvertible>(signal name: String, _ signal: Signal<repeat each Value>) -> UInt32 {
        let id = advertiseSignal(name, Signature(.tuple(Signal<repeat each Value>.types)))
        whenMade { signal.attach(to: $0, as: id) }
        return id
    }

    /// Adds a property of an implementation.
    @discardableResult
    public mutating func advertise<Value: QiConvertible>(property name: String, _ property: Property<Value>) -> UInt32 {
        let id = add(property: name, Value.qiSignature, property.storage)
        whenMade { property.attach(to: $0, as: id) }
        return id
    }
}
