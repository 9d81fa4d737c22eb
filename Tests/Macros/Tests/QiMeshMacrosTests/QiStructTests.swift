import Testing

/// What `@QiStruct` writes, and what it refuses.
@Suite struct QiStructTests {
    @Test func expansion() {
        expectExpansion(
            """
            @QiStruct public struct Point {
                public var x, y: Double
                var `class`: String?
                var tags: [String] = [] { didSet { print(tags) } }
                static let origin = 0
                var length: Double { x + y }
                func moved() -> Point { self }
            }
            """,
            """
            public struct Point {
                public var x, y: Double
                var `class`: String?
                var tags: [String] = [] { didSet { print(tags) } }
                static let origin = 0
                var length: Double { x + y }
                func moved() -> Point { self }
            }

            extension Point: QiMessaging.QiConvertible {
                public static let qiType = QiMessaging.QiType.tuple(QiMessaging.TupleType([Double.qiType, Double.qiType, Swift.Optional<String>.qiType, [String].qiType], name: "Point", memberNames: ["x", "y", "class", "tags"]))

                public func write(to buffer: inout QiMessaging.ByteBuffer) throws(QiMessaging.WireError) {
                    try self.x.write(to: &buffer)
                    try self.y.write(to: &buffer)
                    try self.`class`.write(to: &buffer)
                    try self.tags.write(to: &buffer)
                }

                public init(reading buffer: inout QiMessaging.ByteBuffer) throws(QiMessaging.WireError) {
                    self.x = try Double(reading: &buffer)
                    self.y = try Double(reading: &buffer)
                    self.`class` = try Swift.Optional<String>(reading: &buffer)
                    self.tags = try [String](reading: &buffer)
                }

                public var qiValue: QiMessaging.QiValue {
                    .tuple([self.x.qiValue, self.y.qiValue, self.`class`.qiValue, self.tags.qiValue])
                }

                public init(qiValue: QiMessaging.QiValue) throws(QiMessaging.WireError) {
                    let members = try qiValue.members(as: Self.qiType)
                    self.x = try Double(qiValue: members[0])
                    self.y = try Double(qiValue: members[1])
                    self.`class` = try Swift.Optional<String>(qiValue: members[2])
                    self.tags = try [String](qiValue: members[3])
                }
            }
            """)
    }

    @Test func isolationIsCopied() {
        expectExpansion(
            """
            @QiStruct nonisolated struct Box {
                var value: Int
            }
            """,
            """
            nonisolated struct Box {
                var value: Int
            }

            nonisolated extension Box: QiMessaging.QiConvertible {
                static let qiType = QiMessaging.QiType.tuple(QiMessaging.TupleType([Int.qiType], name: "Box", memberNames: ["value"]))

                func write(to buffer: inout QiMessaging.ByteBuffer) throws(QiMessaging.WireError) {
                    try self.value.write(to: &buffer)
                }

                init(reading buffer: inout QiMessaging.ByteBuffer) throws(QiMessaging.WireError) {
                    self.value = try Int(reading: &buffer)
                }

                var qiValue: QiMessaging.QiValue {
                    .tuple([self.value.qiValue])
                }

                init(qiValue: QiMessaging.QiValue) throws(QiMessaging.WireError) {
                    let members = try qiValue.members(as: Self.qiType)
                    self.value = try Int(qiValue: members[0])
                }
            }
            """)
    }

    @Test func genericStructureHasNoStoredType() {
        expectExpansion(
            """
            @QiStruct struct Box<Value: QiConvertible> {
                var value: Value
            }
            """,
            """
            struct Box<Value: QiConvertible> {
                var value: Value
            }

            extension Box: QiMessaging.QiConvertible {
                static var qiType: QiMessaging.QiType {
                    .tuple(QiMessaging.TupleType([Value.qiType], name: "Box", memberNames: ["value"]))
                }

                func write(to buffer: inout QiMessaging.ByteBuffer) throws(QiMessaging.WireError) {
                    try self.value.write(to: &buffer)
                }

                init(reading buffer: inout QiMessaging.ByteBuffer) throws(QiMessaging.WireError) {
                    self.value = try Value(reading: &buffer)
                }

                var qiValue: QiMessaging.QiValue {
                    .tuple([self.value.qiValue])
                }

                init(qiValue: QiMessaging.QiValue) throws(QiMessaging.WireError) {
                    let members = try qiValue.members(as: Self.qiType)
                    self.value = try Value(qiValue: members[0])
                }
            }
            """)
    }

    static let members: [ServiceRefusalTests.Refused] = [
        .init(
            member: "let x: Int = 3", message: "'x' could not take the value that arrives: a constant has its initial value for ever",
            column: 16, fixIt: "make it a variable", mended: "var x: Int = 3"),
        .init(
            member: "var x = 3.5", message: "write the type of 'x': a macro cannot see what Swift infers, and the signature depends on it",
            column: 9, fixIt: "write 'x: Double'", mended: "var x: Double = 3.5"),
        .init(
            member: "var x = compute()",
            message: "write the type of 'x': a macro cannot see what Swift infers, and the signature depends on it", column: 9),
        .init(
            member: "lazy var x: Int = 3",
            message: "a 'lazy' member cannot be sent: it has to have its value from the beginning", column: 5),
        .init(
            member: "@Wrapped var x: Int", message: "a member with '@Wrapped' cannot be sent; store the plain value", column: 5),
        .init(
            member: "var (x, y): (Int, Int)", message: "each member of a structure of the bus needs a name of its own", column: 9),
        .init(
            member: "var x: [Point]",
            message: "a structure of the bus cannot contain itself, for the signature of 'Point' would be without end", column: 12),
        .init(
            member: "var x: () -> Void",
            message: "a closure cannot be sent; pass an ObjectProxy to be called back, or declare a signal", column: 12),
        .init(member: "var x: Int { 3 }", message: "'Point' has no stored member that could be sent", column: 18),
    ]

    @Test(arguments: members) func refusedMember(_ refused: ServiceRefusalTests.Refused) {
        let isWhole = refused.message.contains("no stored member")
        expectRefusal(
            "@QiStruct struct Point {\n    \(refused.member)\n}", refused.message, line: isWhole ? 1 : 2, column: refused.column,
            fixIt: refused.fixIt, mended: refused.mended.map { "@QiStruct struct Point {\n    \($0)\n}" })
    }

    @Test(arguments: [
        ("class", "@QiStruct applies to a structure, not to 'class'"),
        ("enum", "@QiStruct applies to a structure, not to 'enum'; send an integer or a string for it"),
        ("actor", "@QiStruct applies to a structure, not to 'actor'"),
    ]) func otherKinds(kind: String, message: String) {
        expectRefusal("@QiStruct \(kind) Point {\n}", message, line: 1, column: 11)
    }
}
