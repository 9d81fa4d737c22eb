public import QiWire

/// A property of a Swift type. An implementation makes one with its first value; a proxy has one that leads to the object's.
///
///     nonisolated let volume = Property<Int32>(7)
///     volume.value = 9
///
///     try await robot.volume.set(9)
///
/// Every write is told to the subscribers, also when the value is the same (wire reference §16).
public final class Property<Value: QiConvertible>: Sendable {
    private enum Source: Sendable {
        case own(ValueCell<Value>, Signal<Value>)
        case remote(ObjectProxy, String)
    }

    private let source: Source

    /// A property of an implementation.
    public init(_ initial: Value) { source = .own(ValueCell(initial), Signal()) }

    /// The property of another object.
    public init(of object: ObjectProxy, named name: String) { source = .remote(object, name) }

    /// The value.
    ///
    /// - Throws: never for an own property; of another object as a call does, `.invalid` when the value is of another type.
    public nonisolated(nonsending) func get(deadline: Duration = .seconds(10)) async throws(QiError) -> Value {
        switch source {
        case .own(let cell, _): return cell.value
        case .remote(let object, let name):
            let dynamic = try await object.property(name, deadline: deadline)
            do {
                return try Value(qiValue: .dynamic(dynamic))
            } catch {
                throw QiError(.invalid, "\(object.name).\(name) is no \(Value.self): \(error.message)")
            }
        }
    }

    /// Writes the value.
    ///
    /// - Throws: never for an own property; of another object as a call does.
    public nonisolated(nonsending) func set(_ value: Value, deadline: Duration = .seconds(10)) async throws(QiError) {
        switch source {
        case .own(let cell, let changes): cell.set(value) { changes.emit($0) }
        case .remote(let object, let name): try await object.setProperty(name, value.qiValue, deadline: deadline)
        }
    }

    /// The value of an own property, read and written at once. That of another object takes a call: ``get(deadline:)``,
    /// ``set(_:deadline:)``.
    public var value: Value {
        get {
            guard case .own(let cell, _) = source else { preconditionFailure("the value of another object's property takes a call: use get()") }
            return cell.value
        }
        set {
            guard case .own(let cell, let changes) = source else {
                preconditionFailure("the value of another object's property takes a call: use set(_:)")
            }
            cell.set(newValue) { changes.emit($0) }
        }
    }

    /// The writes from now on.
    ///
    /// - Throws: as ``Signal/events(buffering:)``.
    public func changes(buffering: EventBuffering = .newest(256)) async throws(QiError) -> SignalSequence<Value> {
        try await signal.events(buffering: buffering)
    }

    /// Calls `handler` with every value written, as ``Signal/connect(_:)``.
    public func connect(_ handler: @escaping @Sendable (Value) -> Void) async throws(QiError) -> SignalLink {
        try await signal.connect(handler)
    }

    private var signal: Signal<Value> {
        switch source {
        case .own(_, let changes): changes
        case .remote(let object, let name): Signal(of: object, named: name)
        }
    }

    // MARK: - As a member of an object

    /// What reads and writes an own property for others.
    var storage: PropertyStorage {
        PropertyStorage(
            read: { [self] in value.qiValue },
            write: { [self] (given, _) throws(WireError) in
                let converted = try Value(qiValue: given)
                guard case .own(let cell, let changes) = source else { return }
                cell.set(converted) { changes.emit($0) }
            })
    }

    func attach(to object: DynamicObject, as uid: UInt32) {
        if case .own(_, let changes) = source { changes.attach(to: object, as: uid) }
    }
}
