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
            // Only a text is read, whatever else a peer puts there.
            var signature = try readQiSignature()
            for _ in 0..<CodingLimits.standard.maximumDepth where signature.type == .dynamic { signature = try readQiSignature() }
            guard signature.type == .string else { return "Type mismatch: the error held \(signature.type.shownText) instead of a string" }
            return try readQiString().lossyText
        } catch {
            return "The peer's error could not be read: \(error.message)"
        }
    }
}
