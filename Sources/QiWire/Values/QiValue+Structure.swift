extension QiValue {
    /// The members of a structure in the order and of the types of `type`, a tuple's, converted by the rules of libqi: a tuple by
    /// position, or by name when it is a dynamic whose members are named otherwise; a list of as many elements; a map with the
    /// members' names as keys (reference §22).
    ///
    /// - Throws: `.conversion` when the rules have no way, or one member has none; `.value` when `type` is no tuple.
    public func members(as type: QiType) throws(WireError) -> [QiValue] {
        guard case .tuple(let members) = try converted(to: type) else {
            throw WireError(.value, "\(type.signatureText) is not the type of a structure")
        }
        return members
    }
}
