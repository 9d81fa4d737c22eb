/// Something that no input may bring about: what a fuzz target throws, and the fuzzer ends on.
struct FuzzFinding: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }

    /// Throws `description` unless `condition` holds.
    static func expect(_ condition: Bool, _ description: @autoclosure () -> String) throws {
        if !condition { throw FuzzFinding(description()) }
    }
}
