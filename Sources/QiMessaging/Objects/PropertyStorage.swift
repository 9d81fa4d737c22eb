import QiWire

/// Where the value of a property lives: in the object itself, or in the ``Property`` of an implementation.
struct PropertyStorage: Sendable {
    /// The value, of the property's type.
    let read: @Sendable () -> QiValue
    /// Stores a value of the property's type, and has the object tell its subscribers, also when it is the same (wire reference §16).
    let write: @Sendable (QiValue, DynamicObject) throws(WireError) -> Void

    /// A value that the object itself keeps.
    static func stored(_ initial: QiValue, uid: UInt32) -> PropertyStorage {
        let cell = ValueCell(initial)
        return PropertyStorage(
            read: { cell.value },
            write: { (value, object) throws(WireError) in cell.set(value) { object.emit(uid, [$0]) } })
    }
}
