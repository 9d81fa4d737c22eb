import Foundation
import QiMesh
import QiWire

/// An argument of a call as typed: JSON, a number in any usual spelling, a bare word that is neither and so a string, `@FILE` with JSON
/// in it, or `@raw:FILE` with bytes.
struct CallArgument: Sendable {
    /// As it was typed, for messages.
    let text: String
    /// What it means where the declared type decides nothing.
    let value: QiValue
    /// What else it can mean: a word that may be a number, a number that may be a text.
    var alternative: QiValue?

    /// Larger files are refused; no peer takes such a message.
    static let sizeLimit = 100_000_000

    /// - Parameter read: the contents of a file.
    /// - Throws: `usage` for a file that cannot be read or holds no JSON, and for text that begins like JSON but is none.
    init(
        _ text: String, read: (String) throws(CommandFailure) -> Data = CallArgument.contents
    ) throws(CommandFailure) {
        // The blank of `NegativeNumbers` was not typed.
        self.text = text.trimmingCharacters(in: .whitespaces)
        guard text.hasPrefix("@"), text.count > 1 else {
            (value, alternative) = try Self.word(text)
            return
        }
        if text.hasPrefix("@raw:") {
            value = .raw(QiString(bytes: try read(String(text.dropFirst(5)))).byteBuffer)
            return
        }
        let path = String(text.dropFirst())
        do {
            value = QiValue(try JSONParser.parse(try PlainText.decode(try read(path), path)))
        } catch let error as JSONParser.Failure {
            throw .usage("\(path) holds no JSON: \(error.message) (byte \(error.offset)); @raw:\(path) sends the bytes")
        } catch let error as CommandFailure {
            throw error
        } catch {
            throw .usage("\((error as? MeshError)?.message ?? "\(path) cannot be read")")
        }
    }

    private static func word(_ text: String) throws(CommandFailure) -> (QiValue, QiValue?) {
        do throws(JSONParser.Failure) {
            let json = try JSONParser.parse(text)
            return (QiValue(json), json.isScalar ? .string(text.trimmingCharacters(in: .whitespaces)) : nil)
        } catch {
            if let number = NumberText(text) {
                let word = QiValue.string(text.trimmingCharacters(in: .whitespaces))
                return number.isCertain ? (number.value, word) : (word, number.value)
            }
            // `[1,2` was not meant as a word, and the service's complaint about a string would not say why.
            guard let first = text.first, "[{\"".contains(first) else { return (.string(text), nil) }
            throw .usage(
                "the argument \(text) is not JSON: \(error.message) (byte \(error.offset)); is it quoted for the shell, as '\(text)'?")
        }
    }

    /// The value as a declared type has it: the first meaning that the type takes, nil when it takes none.
    func fitting(_ type: QiType) -> QiValue? {
        for meaning in [value, alternative].compactMap({ $0 }) where (try? meaning.converted(from: meaning.inferredType, to: type)) != nil {
            return meaning
        }
        return nil
    }

    /// Reads a file.
    /// - Throws: `usage` when it cannot be read or is larger than ``sizeLimit``.
    static func contents(_ path: String) throws(CommandFailure) -> Data {
        do throws(CommandFailure) {
            return try TypedFile.contents(path, limit: sizeLimit)
        } catch {
            let advice = "an argument that begins with @ names a file, and a text that does is typed as '\"@…\"'"
            throw .usage(error.code == .notFound ? "\(error.message); \(advice)" : error.message)
        }
    }
}

extension JSONValue {
    /// Whether it is a number, a truth value or null: what a bare word can be, too.
    fileprivate var isScalar: Bool {
        switch self {
        case .null, .bool, .integer, .unsigned, .number: true
        case .string, .array, .object: false
        }
    }
}
