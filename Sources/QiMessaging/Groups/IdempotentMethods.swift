import QiWire

/// The methods of a service that may run twice with no other effect than once: calls of them that an instance has not answered are made
/// again at another one. Pure.
///
/// A method is one when the service says so, by the word ``mark`` in the description of the method (libqi shows descriptions to people
/// and reads nothing out of them, `src/type/metamethod.cpp`; of a Python service it is the docstring), or when the owner of the calling node
/// says so, by a pattern `Service.method`. Reading properties always is.
struct IdempotentMethods: Equatable {
    /// Stands in the description of a method that may run twice.
    static let mark = "[idempotent]"

    private let actions: Set<UInt32>

    init(_ metaObject: MetaObject, of service: String, patterns: [NameGlob]) {
        let marked = metaObject.methods.filter { method in
            !method.isPrivate && method.description.firstRange(of: Self.mark) != nil
                || method.uid >= WellKnownActions.firstUserAction && patterns.contains { $0.matches("\(service).\(method.name)") }
        }
        actions = Set(marked.map(\.uid)).union([WellKnownActions.property, WellKnownActions.properties])
    }

    func contains(_ action: UInt32) -> Bool { actions.contains(action) }
}
