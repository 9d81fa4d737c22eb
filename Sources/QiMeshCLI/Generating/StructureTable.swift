import QiWire

/// The structures that interfaces exchange, each under one name of its own.
struct StructureTable {
    /// A structure to be declared.
    struct Structure {
        let name: String
        /// What its type was called, nil without annotation.
        let annotation: String?
        let members: [(name: String, type: QiType)]
        let tuple: TupleType
        /// The text of the declaration, filled in when the members' types have names.
        var declaration = ""
    }

    private(set) var structures: [Structure] = []
    /// Names that a structure may not have.
    private var taken: Set<String>

    init(taken: Set<String>) { self.taken = taken }

    /// Whether a structure could not have this name.
    func isTaken(_ name: String) -> Bool { taken.contains(name) }

    /// Keeps a name from being given to a structure.
    mutating func take(_ name: String) { taken.insert(name) }

    /// The structure of a tuple type that is declared already. Tuples are the same when types and names agree.
    func known(_ tuple: TupleType) -> Structure? {
        structures.first { structure in
            structure.tuple == tuple && structure.tuple.signatureText == tuple.signatureText
        }
    }

    /// Adds a structure and gives it a free name.
    ///
    /// - Parameter context: what to call it when the type has no usable name.
    /// - Returns: its index, for ``declare(_:as:)``.
    mutating func add(_ tuple: TupleType, context: String) -> Int {
        let wanted = tuple.name.flatMap { SwiftIdentifier.type(from: $0) } ?? context
        var name = wanted
        var number = 2
        while taken.contains(name) {
            name = "\(wanted)\(number)"
            number += 1
        }
        taken.insert(name)
        structures.append(
            Structure(name: name, annotation: tuple.name, members: Self.members(of: tuple), tuple: tuple))
        return structures.count - 1
    }

    /// Sets the text of a structure.
    mutating func declare(_ index: Int, as text: String) { structures[index].declaration = text }

    private static func members(of tuple: TupleType) -> [(name: String, type: QiType)] {
        var used: Set<String> = []
        return tuple.members.enumerated().map { index, type in
            let given = tuple.isFullyNamed ? SwiftIdentifier.exact(tuple.memberNames[index]) : nil
            var name = given ?? "member\(index)"
            while !used.insert(name).inserted { name += "_" }
            return (name, type)
        }
    }
}

extension TupleType {
    /// The signature with every annotation.
    var signatureText: String { QiType.tuple(self).signatureText }
}
