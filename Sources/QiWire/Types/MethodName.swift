/// A method as people name it: `name`, `name::(params)` or `name::ret(params)` (reference §6).
public struct MethodName: Hashable, Sendable, CustomStringConvertible {
    /// The bare name.
    public var name: String
    /// The parameters, nil when the text named none.
    public var parameters: Signature?
    /// What it returns, nil when the text did not say.
    public var returns: Signature?

    /// Takes a text apart.
    ///
    /// - Throws: `WireError.Code.signature` when `::` is followed by anything but one or two types.
    public init(_ text: String) throws(WireError) {
        let bytes = Array(text.utf8)
        let colon = UInt8(ascii: ":")
        guard let split = bytes.indices.dropLast().first(where: { bytes[$0] == colon && bytes[$0 + 1] == colon }) else {
            name = text
            return
        }
        name = String(decoding: bytes[..<split], as: UTF8.self)
        var parser = try SignatureParser(Array(bytes[(split + 2)...]))
        let types = try parser.parseAll()
        guard let last = types.last, types.count <= 2 else {
            throw WireError(.signature, "'\(text)' needs the form name::(parameters) or name::return(parameters)")
        }
        parameters = Signature(last)
        returns = types.count == 2 ? Signature(types[0]) : nil
    }

    /// The text again, in the form of the parts that are known.
    public var description: String {
        guard let parameters else { return name }
        return "\(name)::\(returns?.text ?? "")\(parameters.text)"
    }
}
