public import QiWire

/// Puts an object together member by member, libqi's `DynamicObjectBuilder`: for services whose shape is known at run time only.
///
///     var echo = ObjectBuilder()
///     echo.advertiseMethod("echo", "(s)", returns: "s") { arguments, _ in arguments[0] }
///     let hosted = try await session.register(echo, as: "Echo")
public struct ObjectBuilder: Sendable {
    /// A method's body. `arguments` has one value per parameter, of the parameter's type; the result is converted to the
    /// declared return type. Whatever it throws reaches the caller as an Error with that text. Runs off the event loop, in a task
    /// that is cancelled when the caller cancels the call or goes away; if it then throws, the call is answered Canceled.
    public typealias Method = @Sendable (_ arguments: [QiValue], _ context: CallContext) async throws -> QiValue

    private var metaObject: MetaObjectBuilder
    private var methods: [UInt32: Method] = [:]
    private var properties: [UInt32: QiValue] = [:]

    public init(description: String = "") { metaObject = MetaObjectBuilder(description: description) }

    /// Adds a method. `parameters` is a tuple signature, or `m` for any number of any arguments.
    /// - Returns: its id.
    @discardableResult
    public mutating func advertiseMethod(
        _ name: String, _ parameters: Signature, returns: Signature = .void, description: String = "", _ body: @escaping Method
    ) -> UInt32 {
        let id = metaObject.addMethod(name, parameters: parameters, returns: returns, description: description)
        methods[id] = body
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
        properties[id] = initial
        return id
    }

    func makeObject(on bus: Bus) -> LocalObject {
        LocalObject(
            bus: bus, metaObject: metaObject.build(), methods: methods.mapValues { .concurrent($0) }, properties: properties)
    }
}
