import Foundation
import QiWire

/// An argument of a call as typed: JSON, a bare word that is no JSON and so a string, `@FILE` with JSON in it, or `@raw:FILE`
/// with bytes.
enum CallArgument {
    /// Larger files are refused; no peer takes such a message.
    static let sizeLimit = 100_000_000

    /// - Parameter read: the contents of a file.
    /// - Throws: `usage` for a file that cannot be read or holds no JSON, and for text that begins like JSON but is none.
    static func value(
        _ text: String, read: (String) throws(CommandFailure) -> Data = CallArgument.contents
    ) throws(CommandFailure) -> QiValue {
        guard text.hasPrefix("@"), text.count > 1 else { return try word(text) }
        if text.hasPrefix("@raw:") { return .raw(QiString(bytes: try read(String(text.dropFirst(5)))).byteBuffer) }
        let path = String(text.dropFirst())
        guard let content = String(validating: try read(path), as: UTF8.self) else { throw .usage("\(path) is not UTF-8") }
        do throws(JSONParser.Failure) {
            return QiValue(try JSONParser.parse(content))
        } catch {
            throw .usage("\(path) holds no JSON: \(error.message) (byte \(error.offset))", hint: "@raw:\(path) sends the bytes")
        }
    }

    private static func word(_ text: String) throws(CommandFailure) -> QiValue {
        do throws(JSONParser.Failure) {
            return QiValue(try JSONParser.parse(text))
        } catch {
            // `[1,2` was not meant as a word, and the service's complaint about a string would not say why.
            guard let first = text.first, "[{\"".contains(first) else { return .string(text) }
            throw .usage(
                "the argument \(text) is not JSON: \(error.message) (byte \(error.offset))",
                hint: "quote it for the shell: '\(text)'")
        }
    }

    /// Reads a file.
    /// - Throws: `usage` when it cannot be read or is larger than ``sizeLimit``.
    static func contents(_ path: String) throws(CommandFailure) -> Data {
        do {
            guard let file = FileHandle(forReadingAtPath: path) else { throw CocoaError(.fileReadNoSuchFile) }
            defer { file.closeFile() }
            let data = try file.read(upToCount: sizeLimit + 1) ?? Data()
            if data.count <= sizeLimit { return data }
        } catch {
            throw .usage(
                "\(path) cannot be read", hint: "an argument that begins with @ names a file; a text is typed as '\"@…\"'")
        }
        throw .usage("\(path) is larger than \(sizeLimit / 1_000_000) MB")
    }
}
