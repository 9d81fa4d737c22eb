public import QiWire

/// Puts an object together member by member, libqi's `DynamicObjectBuilder`: for services whose shape is known at run time only,
/// and what a ``ServiceBinding`` is made of.
///
///     var echo = ObjectBuilder()
///     echo.advertiseMethod("echo", "(s)", returns: "s") { arguments, _ in arguments[0] }
///     let hosted = try await session.register(echo, as: "Echo")
public struct ObjectBuilder: Sendable {
    /// A method's body. `arguments` has one value per parameter, of the parameter's type; the result is converted to the
    /// declared return type. Whatever it throws reaches the caller as an Error with that text. Its task is cancelled when the caller
    /// cancels the call or goes away; if it then throws, the call is answered Canceled.
    public typealias Method = nonisolated(nonsending) @Sendable (_ arguments: [QiValue], _ context: CallContext) async throws -> QiValue

    /// The body of a typed method: takes its arguments from the call, in order, and gives it the result. It stays on the event loop
    /// when the method is direct, and throws as a ``Method`` does.
    public typealias TypedMethod = nonisolated(nonsending) @Sendable (inout MethodCall) async throws -> Void

    private var metaObject: MetaObjectBuilder
    private var methods: [UInt32: (body: ObjectMethod.Body, callType: CallType)] = [:]
    private var properties: [UInt32: PropertyStorage] = [:]
    private var implementation: (any Sendable)?
    private var attachments: [@Sendable (DynamicObject) -> Void] = []

    public init(description: String = "") { metaObject = MetaObjectBuilder(description: description) }

    /// Adds a method. `parameters` is a tuple signature, or `m` for any number of any arguments.
    /// - Returns: its id.
    @discardableResult
    public mutating func advertiseMethod(
        _ name: String, _ parameters: Signature, returns: Signature = .void, description: String = "",
        callType: CallType = .queued, _ body: @escaping Method
    ) -> UInt32 {
        let id = metaObject.addMethod(name, parameters: parameters, returns: returns, description: description)
        methods[id] = (.values(body), callType)
        return id
    }

    /// Adds a signal. `signature` is a tuple, or `m`.
    /// - Returns: its id.
    @discardableResult
    public mutating func advertiseSignal(_ name: String, _ signature: Signature) -> UInt32 {
        metaObject.addSignal(name, signature)
    }

    /// Adds a property with its first value, which has to be of the type `signature`.
    /// - Returns: its id, which is also that of its signal.
    @discardableResult
    public mutating func advertiseProperty(_ name: String, _ signature: Signature, initial: QiValue) -> UInt32 {
        let id = metaObject.addProperty(name, signature)
        properties[id] = .stored(initial, uid: id)
        return id
    }

    // MARK: - Typed members

    /// Adds a method whose body takes its arguments and gives its result as Swift types.
    ///
    /// - Parameters:
    ///   - parameters: the types that the body takes, in order.
    ///   - returns: the type that the body gives; with `.void` it gives nothing.
    @discardableResult
    public mutating func advertise(
        method name: String, parameters: [QiType], parameterNames: [String] = [], returns: QiType = .void, description: String = "",
        callType: CallType = .queued, _ body: @escaping TypedMethod
    ) -> UInt32 {
        add(name, parameters, parameterNames, returns, description, .typed(body), callType)
    }

    /// Adds a method that never suspends and never blocks. It runs on the event loop as its call is read, which costs no task at all.
    @discardableResult
    public mutating func advertise(
        immediateMethod name: String, parameters: [QiType], parameterNames: [String] = [], returns: QiType = .void,
        description: String = "", _ body: @escaping @Sendable (inout MethodCall) throws -> Void
    ) -> UInt32 {
        add(name, parameters, parameterNames, returns, description, .immediate(body), .direct)
    }

    private mutating func add(
        _ name: String, _ parameters: [QiType], _ names: [String], _ returns: QiType, _ description: String,
        _ body: ObjectMethod.Body, _ callType: CallType
    ) -> UInt32 {
        let id = metaObject.addMethod(
            name, parameters: Signature(.tuple(parameters)), returns: Signature(returns), description: description,
            parameterDescriptions: names.map { MetaMethodParameter(name: $0, description: "") })
        methods[id] = (body, callType)
        return id
    }

    /// Adds a property whose value is elsewhere.
    ///
    /// - Returns: its id, which is also that of its signal.
    mutating func add(property name: String, _ signature: Signature, _ storage: PropertyStorage) -> UInt32 {
        let id = metaObject.addProperty(name, signature)
        properties[id] = storage
        return id
    }

    /// Has `attach` called with the object when it is made.
    mutating func whenMade(_ attach: @escaping @Sendable (DynamicObject) -> Void) { attachments.append(attach) }

    /// Says what a typed proxy of this process calls, without anything between.
    public mutating func setImplementation(_ implementation: any Sendable) { self.implementation = implementation }

    // MARK: - Making

    func makeObject() -> DynamicObject {
        let members = MemberTable(metaObject.build())
        let table = methods.compactMap { uid, method in
            members.method(uid).map { (uid, ObjectMethod($0, method.body, method.callType)) }
        }
        let object = DynamicObject(
            members: members, methods: ActionTable(table), properties: properties, implementation: implementation)
        for attach in attachments { attach(object) }
        return object
    }

    func makeObject(on bus: Bus) -> LocalObject { LocalObject(bus: bus, object: makeObject()) }
}
