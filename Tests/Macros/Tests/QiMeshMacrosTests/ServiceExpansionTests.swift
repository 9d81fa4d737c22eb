import Testing

/// The code that `@Service` writes, in full: it is public API of whoever uses it, and a person should be able to read it.
@Suite struct ServiceExpansionTests {
    @Test func representativeProtocol() {
        expectExpansion(
            """
            /// Says hello.
            @Service public protocol Greeter: Sendable {
                /// Greets "somebody".
                ///
                /// - Parameter name: whom.
                func greet(_ name: String) async throws -> String
                func move(to x: Double, _: [String]?) async throws(QiError)
                func stop() async throws
                var greeted: Signal<String> { get }
                var volume: Property<Int32> { get }
            }
            """,
            #"""
            /// Says hello.
            public protocol Greeter: Sendable {
                /// Greets "somebody".
                ///
                /// - Parameter name: whom.
                func greet(_ name: String) async throws -> String
                func move(to x: Double, _: [String]?) async throws(QiError)
                func stop() async throws
                var greeted: Signal<String> { get }
                var volume: Property<Int32> { get }
            }

            /// Uses a `Greeter` that lives anywhere on the bus; one in this process is called directly.
            public struct GreeterProxy: Greeter, QiMessaging.ServiceProxy {
                public static let serviceName = "Greeter"
                public let object: QiMessaging.ObjectProxy
                /// How long a call may take; a direct one takes as long as it takes.
                public var deadline: Swift.Duration = .seconds(10)
                public let greeted: Signal<String>
                public let volume: Property<Int32>
                private let local: (any Greeter & Swift.Sendable)?
                private let _greet_1: QiMessaging.RemoteMethod
                private let _move_2: QiMessaging.RemoteMethod
                private let _stop_0: QiMessaging.RemoteMethod

                /// The proxy of an object, which has the members of `Greeter`: a call of one it lacks fails.
                public init(_ object: QiMessaging.ObjectProxy) {
                    self.object = object
                    self.local = object.implementation(as: (any Greeter & Swift.Sendable).self)
                    self.greeted = .init(of: object, named: "greeted")
                    self.volume = .init(of: object, named: "volume")
                    self._greet_1 = object.method(
                        "greet", parameters: [String.qiType], returns: String.qiType)
                    self._move_2 = object.method(
                        "move", parameters: [Double.qiType, Swift.Optional<[String]>.qiType], returns: .void)
                    self._stop_0 = object.method(
                        "stop", parameters: [], returns: .void)
                }

                public nonisolated(nonsending) func greet(_ name: String) async throws -> String {
                    if let local = self.local, self.object.isDirect {
                        return try await local.greet(name)
                    }
                    return try await self.object.invoke(self._greet_1, deadline: self.deadline, returning: String.self) { (arguments) throws(QiMessaging.WireError) in
                        try arguments.append(name)
                    }
                }

                public nonisolated(nonsending) func move(to x: Double, _ argument1: [String]?) async throws(QiError) {
                    if let local = self.local, self.object.isDirect {
                        return try await local.move(to: x, argument1)
                    }
                    try await self.object.invoke(self._move_2, deadline: self.deadline) { (arguments) throws(QiMessaging.WireError) in
                        try arguments.append(x)
                        try arguments.append(argument1)
                    }
                }

                public nonisolated(nonsending) func stop() async throws {
                    if let local = self.local, self.object.isDirect {
                        return try await local.stop()
                    }
                    try await self.object.invoke(self._stop_0, deadline: self.deadline) { _ in
                    }
                }
            }

            /// Offers an implementation of `Greeter` on the bus.
            public struct GreeterBinding<Implementation: Greeter & Swift.Sendable>: QiMessaging.ServiceBinding {
                public static var serviceName: Swift.String {
                    "Greeter"
                }
                private let implementation: Implementation
                private let callType: QiMessaging.CallType

                /// - Parameter callType: where the methods run: off the event loop, or on it, where they must not block.
                public init(_ implementation: Implementation, callType: QiMessaging.CallType = .queued) {
                    self.implementation = implementation
                    self.callType = callType
                }

                public func makeObject() -> QiMessaging.ObjectBuilder {
                    let implementation = self.implementation
                    var object = QiMessaging.ObjectBuilder(description: "Says hello.")
                    object.setImplementation(implementation)
                    object.advertise(signal: "greeted", implementation.greeted)
                    object.advertise(property: "volume", implementation.volume)
                    object.advertise(
                        method: "greet", parameters: [String.qiType], parameterNames: ["name"],
                        returns: String.qiType, description: "Greets \"somebody\".\n\n- Parameter name: whom.", callType: self.callType
                    ) { call in
                        let result = try await implementation.greet(call.next(String.self))
                        try call.reply(result)
                    }
                    object.advertise(
                        method: "move", parameters: [Double.qiType, Swift.Optional<[String]>.qiType], parameterNames: ["x", ""],
                        returns: .void, callType: self.callType
                    ) { call in
                        try await implementation.move(to: call.next(Double.self), call.next(Swift.Optional<[String]>.self))
                    }
                    object.advertise(
                        method: "stop", parameters: [],
                        returns: .void, callType: self.callType
                    ) { _ in
                        try await implementation.stop()
                    }
                    return object
                }
            }
            """#)
    }
}
