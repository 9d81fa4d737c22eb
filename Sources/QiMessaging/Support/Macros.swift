@_exported public import struct NIOCore.ByteBuffer
@_exported public import QiWire

/// Makes a protocol the interface of a service: writes a proxy, which calls it wherever it lives, and a binding, which offers an
/// implementation.
///
///     @Service protocol Greeter {
///         /// Greets somebody.
///         func greet(_ name: String) async throws -> String
///         var greeted: Signal<String> { get }
///         var volume: Property<Int32> { get }
///     }
///
///     let greeter = try await session.service(GreeterProxy.self)
///     let answer = try await greeter.greet("you")
///
///     try await session.register(GreeterBinding(FriendlyGreeter()), as: "Greeter")
///
/// Methods are `async throws` (or `throws(QiError)`); their parameters and results conform to ``QiConvertible``. Signals and
/// properties are members of type ``Signal`` and ``Property``; an actor implements them as `nonisolated let`. Doc comments become the
/// descriptions that `qimesh info` shows. The binding is a value of its own because a macro cannot give a protocol's
/// implementations a conformance.
///
/// - Parameter name: what the service is called on the bus; nil for the protocol's name.
@attached(peer, names: suffixed(Proxy), suffixed(Binding))
public macro Service(_ name: String? = nil) = #externalMacro(module: "QiMeshMacros", type: "ServiceMacro")

/// Says more of a method of a protocol with `@Service`.
///
///     @Service protocol Detector {
///         @QiMethod(idempotent: true) func detect(_ picture: ByteBuffer) async throws -> [String]
///     }
///
/// - Parameter idempotent: whether the method may run twice with no other effect than once. A call of it that one instance of a service in
///   a group of devices has not answered is made again at another one. The description of the method then ends with `[idempotent]`,
///   which a service of libqi may as well say itself.
@attached(peer)
public macro QiMethod(idempotent: Bool = false) = #externalMacro(module: "QiMeshMacros", type: "QiMethodMacro")

/// Makes a structure a value of the bus: a tuple of its stored members, in their order, annotated with its name and theirs.
///
///     @QiStruct struct Point {       // (dds)<Point,x,y,name>
///         var x: Double
///         var y: Double
///         var name: String
///     }
///
/// The members' types are written out and conform to ``QiConvertible``. From values of another shape it converts as libqi does: tuples
/// by position, or by name when all members have names; maps by their keys.
@attached(
    extension, conformances: QiConvertible,
    names: named(qiType), named(write), named(init), named(qiValue))
public macro QiStruct() = #externalMacro(module: "QiMeshMacros", type: "QiStructMacro")
