import Foundation

/// A mistake in the configuration as a person should read it; carried through `Decodable` as the cause of a `DecodingError`,
/// whose coding path says where.
struct ConfigurationMistake: Error {
    var message: String
    /// What was probably meant; `nil` when ``message`` already says what to do.
    var suggestion: String?
}

/// Every key of a mapping, known or not.
struct AnyCodingKey: CodingKey {
    var stringValue: String
    var intValue: Int?
    init(stringValue: String) { self.stringValue = stringValue }
    init(intValue: Int) {
        stringValue = "\(intValue)"
        self.intValue = intValue
    }
}

extension CodingUserInfoKey {
    /// The directory of the configuration file, against which relative paths in it are read.
    static var configurationDirectory: CodingUserInfoKey? { CodingUserInfoKey(rawValue: "qimesh.configuration.directory") }
    /// The home directory, for paths that begin with `~/`.
    static var homeDirectory: CodingUserInfoKey? { CodingUserInfoKey(rawValue: "qimesh.configuration.home") }
}

extension Decoder {
    /// A container of which every key is known.
    /// - Parameter advice: what to say about keys that people try although they do not exist.
    func strictContainer<Key: CodingKey & CaseIterable>(
        _: Key.Type, advice: [String: String] = [:]
    ) throws -> StrictContainer<Key> {
        let known = Key.allCases.map(\.stringValue)
        for key in try container(keyedBy: AnyCodingKey.self).allKeys where !known.contains(key.stringValue) {
            let message = advice[key.stringValue] ?? "this version knows no key \"\(key.stringValue)\" here"
            let nearest = Spelling.nearest(to: key.stringValue, among: known)
            let suggestion =
                advice[key.stringValue] != nil
                ? nil : nearest.map { "did you mean \($0)?" } ?? "known are \(known.joined(separator: ", "))"
            throw DecodingError.dataCorrupted(
                .init(
                    codingPath: codingPath + [key], debugDescription: message,
                    underlyingError: ConfigurationMistake(message: message, suggestion: suggestion)))
        }
        return StrictContainer(container: try container(keyedBy: Key.self), userInfo: userInfo)
    }
}

/// A keyed container with the readers that the sections share.
struct StrictContainer<Key: CodingKey> {
    let container: KeyedDecodingContainer<Key>
    let userInfo: [CodingUserInfoKey: Any]

    /// The value, `nil` if the key is missing or has no value.
    func decodeIfPresent<Value: Decodable>(_: Value.Type, forKey key: Key) throws -> Value? {
        try container.decodeIfPresent(Value.self, forKey: key)
    }

    /// One line of at least one and at most `limit` bytes without control characters.
    func text(_ key: Key, limit: Int) throws -> String? {
        guard let text = try container.decodeIfPresent(String.self, forKey: key) else { return nil }
        guard !text.isEmpty else { throw wrong(key, "\(key.stringValue) must not be empty") }
        guard text.utf8.count <= limit else { throw wrong(key, "\(key.stringValue) is longer than \(limit) bytes") }
        guard !text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else {
            throw wrong(key, "\(key.stringValue) holds a control character")
        }
        return text
    }

    /// A path, made absolute: `~/` is the home directory, anything relative starts at the file that names it.
    func path(_ key: Key) throws -> String? {
        guard let path = try text(key, limit: 4_095) else { return nil }
        if path.hasPrefix("/") { return path }
        func info(_ key: CodingUserInfoKey?) -> String? { key.flatMap { userInfo[$0] as? String } }
        if path.hasPrefix("~/"), let home = info(.homeDirectory) { return home + path.dropFirst(1) }
        guard let directory = info(.configurationDirectory) else { throw wrong(key, "\"\(path)\" is not an absolute path") }
        return directory + "/" + path
    }

    /// The error for a value that cannot stand; `nil` for the mapping as a whole, `index` for one item of a list.
    func wrong(_ key: Key?, index: Int? = nil, _ message: String) -> DecodingError {
        var path = container.codingPath
        if let key { path.append(key) }
        if let index { path.append(AnyCodingKey(intValue: index)) }
        return .dataCorrupted(
            .init(codingPath: path, debugDescription: message, underlyingError: ConfigurationMistake(message: message)))
    }
}
