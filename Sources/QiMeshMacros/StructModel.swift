import SwiftSyntax

/// A structure as `@QiStruct` understands it.
struct StructModel {
    struct Member {
        let name: String
        let type: TypeSyntax
    }

    /// The type as an extension names it.
    let type: String
    /// Its own name, as the signature has it.
    let name: String
    let isGeneric: Bool
    /// Whether it is declared `nonisolated`, in a module whose declarations otherwise belong to the main actor.
    let isNonisolated: Bool
    /// `public ` or `package `, else empty.
    let access: String
    let members: [Member]

    /// The generated conformance: member by member, without a generic or existential on the way.
    var conformance: String {
        let types = members.map { "\($0.type.expression).qiType" }.joined(separator: ", ")
        let names = members.map(\.name.unescaped.literal).joined(separator: ", ")
        let tuple = "QiMessaging.TupleType([\(types)], name: \(name.literal), memberNames: [\(names)])"
        return """
            \(isNonisolated ? "nonisolated " : "")extension \(type): QiMessaging.QiConvertible {
            \(typeDeclaration(tuple).indented)

                \(access)func write(to buffer: inout QiMessaging.ByteBuffer) throws(QiMessaging.WireError) {
            \(members.map { "try self.\($0.name).write(to: &buffer)" }.indented.indented)
                }

                \(access)init(reading buffer: inout QiMessaging.ByteBuffer) throws(QiMessaging.WireError) {
            \(members.map { "self.\($0.name) = try \($0.type.expression)(reading: &buffer)" }.indented.indented)
                }

                \(access)var qiValue: QiMessaging.QiValue {
                    .tuple([\(members.map { "self.\($0.name).qiValue" }.joined(separator: ", "))])
                }

                \(access)init(qiValue: QiMessaging.QiValue) throws(QiMessaging.WireError) {
                    let members = try qiValue.members(as: Self.qiType)
            \(members.enumerated().map { "self.\($1.name) = try \($1.type.expression)(qiValue: members[\($0)])" }.indented.indented)
                }
            }
            """
    }

    /// Made once, unless the type is generic, which may have no stored static member.
    private func typeDeclaration(_ tuple: String) -> String {
        isGeneric
            ? "\(access)static var qiType: QiMessaging.QiType {\n    .tuple(\(tuple))\n}"
            : "\(access)static let qiType = QiMessaging.QiType.tuple(\(tuple))"
    }
}
