public import NIOCore

extension ByteBuffer {
    /// Writes the payload of an error message: a dynamic holding a string (reference §14).
    public mutating func writeErrorPayload(_ text: String) {
        writeQiString(Signature.string.text)
        writeQiString(text)
    }

    /// Reads the text of an error message, as tolerantly as libqi: whatever the payload holds, the call has failed (reference
    /// §14).
    ///
    /// - Returns: the text; or, for a payload that is no dynamic string, a text that says so.
    public mutating func readErrorPayload() -> String {
        do {
            guard case .dynamic(let dynamic) = try readQi(.dynamic) else { return "Type mismatch" }
            switch dynamic.unwrapped().value {
            case .string(let string): return string.lossyText
            default: return "Type mismatch: the error held \(dynamic.signature.text) instead of a string"
            }
        } catch {
            return "The peer's error could not be read: \(error.message)"
        }
    }
}
