/// What an object can do: its methods, signals and properties (reference §8).
///
/// Members are kept in wire order, for exact re-encoding; equality does not look at it.
public struct MetaObject: Sendable {
    /// The methods, uids unique.
    public internal(set) var methods: [MetaMethod]
    /// The signals, those of properties included; uids unique.
    public internal(set) var signals: [MetaSignal]
    /// The properties, uids unique.
    public internal(set) var properties: [MetaProperty]
    /// For people.
    public var description: String

    /// Creates a metaobject; of members with equal uids the first is kept.
    public init(
        methods: [MetaMethod] = [], signals: [MetaSignal] = [], properties: [MetaProperty] = [], description: String = ""
    ) {
        self.methods = MetaObject.unique(methods, \.uid)
        self.signals = MetaObject.unique(signals, \.uid)
        self.properties = MetaObject.unique(properties, \.uid)
        self.description = description
    }

    private static func unique<Member>(_ members: [Member], _ uid: (Member) -> UInt32) -> [Member] {
        var seen: Set<UInt32> = []
        return members.filter { seen.insert(uid($0)).inserted }
    }

    /// Without members; what a null object reference carries.
    public static let empty = MetaObject()

    /// The method with this id.
    public func method(_ uid: UInt32) -> MetaMethod? { methods.first { $0.uid == uid } }

    /// The method that a full name means: `name::(parameters)`, compared as text and, failing that, by type.
    public func method(fullName: String) -> MetaMethod? {
        if let exact = methods.first(where: { $0.fullName == fullName }) { return exact }
        // A text that is no full name at all simply means no method.
        guard let wanted = try? MethodName(fullName), let parameters = wanted.parameters else { return nil }
        return methods.first { $0.name == wanted.name && (try? $0.parsedParameters()) == parameters }
    }

    /// All overloads of a name.
    public func methods(named name: String) -> [MetaMethod] { methods.filter { $0.name == name } }

    /// The signal with this id.
    public func signal(_ uid: UInt32) -> MetaSignal? { signals.first { $0.uid == uid } }

    /// The signal with this name.
    public func signal(named name: String) -> MetaSignal? { signals.first { $0.name == name } }

    /// The property with this id.
    public func property(_ uid: UInt32) -> MetaProperty? { properties.first { $0.uid == uid } }

    /// The property with this name.
    public func property(named name: String) -> MetaProperty? { properties.first { $0.name == name } }

    /// This metaobject's members before those of `other`, whose description wins unless it is empty (reference §8, merge order).
    ///
    /// - Throws: `.value` when both use one uid for different members.
    public func merging(_ other: MetaObject) throws(WireError) -> MetaObject {
        for method in other.methods {
            if let mine = self.method(method.uid), mine.fullName != method.fullName {
                throw MetaObject.clash(method.uid, mine.fullName, method.fullName)
            }
        }
        for signal in other.signals {
            if let mine = self.signal(signal.uid), (mine.name, mine.signature) != (signal.name, signal.signature) {
                throw MetaObject.clash(signal.uid, mine.name, signal.name)
            }
        }
        for property in other.properties {
            if let mine = self.property(property.uid), (mine.name, mine.signature) != (property.name, property.signature) {
                throw MetaObject.clash(property.uid, mine.name, property.name)
            }
        }
        return MetaObject(
            methods: methods + other.methods, signals: signals + other.signals,
            properties: properties + other.properties,
            description: other.description.isEmpty ? description : other.description)
    }

    /// The generic members of §9 before this object's own, as a peer has to send it (reference §8).
    ///
    /// - Throws: `.value` when an own member uses a generic member's uid.
    public func withGenericMembers() throws(WireError) -> MetaObject { try MetaObject.generic.merging(self) }

    private static func clash(_ uid: UInt32, _ mine: String, _ other: String) -> WireError {
        WireError(.value, "the members \(mine) and \(other) both have the uid \(uid); give one of them another")
    }
}

extension MetaObject: Hashable {
    /// Compares contents, not order.
    public static func == (left: MetaObject, right: MetaObject) -> Bool {
        left.description == right.description
            && left.methods.count == right.methods.count && left.signals.count == right.signals.count
            && left.properties.count == right.properties.count
            && left.sortedMethods == right.sortedMethods && left.sortedSignals == right.sortedSignals
            && left.sortedProperties == right.sortedProperties
    }

    /// Hashes contents, not order.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(sortedMethods)
        hasher.combine(sortedSignals)
        hasher.combine(sortedProperties)
    }

    private var sortedMethods: [MetaMethod] { methods.sorted { $0.uid < $1.uid } }
    private var sortedSignals: [MetaSignal] { signals.sorted { $0.uid < $1.uid } }
    private var sortedProperties: [MetaProperty] { properties.sorted { $0.uid < $1.uid } }
}
