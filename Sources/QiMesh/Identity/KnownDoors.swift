import Foundation
import QiMessaging

/// The keys of gateways and robots that this user's commands have logged in at, as ssh keeps those of hosts: the first login pins the key
/// of an address, and another key there is refused.
///
/// Kept in one file, mode 0600, a line for each: `HOST:PORT SHA256:…`. Lines that begin with `#` are comments.
public struct KnownDoors: Sendable {
    /// The file.
    public let path: String

    private static let sizeLimit = 1 << 20
    /// More than a user logs in at; a bound for the file.
    private static let countLimit = 4_096
    private static let heading = "# Keys of gateways and robots, by address; another key there is refused.\n"

    /// - Parameter file: an absolute path; its folder is made if it is missing.
    public init(file path: String) { self.path = path }

    /// The key known for the door at `url`; nil for one that was never logged in at, and for anything that shows no key.
    ///
    /// - Throws: `trust` when the file can be changed by other users or is damaged.
    public func key(of url: String) throws(MeshError) -> KeyFingerprint? {
        guard let address = Self.address(of: url) else { return nil }
        return try read()[address]
    }

    /// Keeps the key of the door at `url` from now on, in the place of the one known before.
    ///
    /// - Throws: as above, `tooLarge` for too many, and when the file cannot be written.
    public func remember(_ key: KeyFingerprint, of url: String) throws(MeshError) {
        guard let address = Self.address(of: url), try read()[address] != key else { return }
        try PrivateDirectory.ensure(PrivateFile.directory(of: path), code: .trust)
        try PrivateFile.exclusively(path + ".lock", code: .trust) { () throws(MeshError) in
            var doors = try read()
            doors[address] = key
            guard doors.count <= Self.countLimit else {
                throw MeshError(
                    .tooLarge, "\(path) holds \(Self.countLimit) keys, which is the most there can be", hint: "remove lines from it")
            }
            let lines = doors.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)\n" }
            try PrivateFile.replace(path, with: Array((Self.heading + lines.joined()).utf8), code: .trust)
        }
    }

    /// `HOST:PORT` of a `tcps` URL, in lower case: names compare without case.
    static func address(of url: String) -> String? {
        guard case .tls(let host, let port, _)? = Endpoint(url)?.kind else { return nil }
        return (host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)").lowercased()
    }

    private func read() throws(MeshError) -> [String: KeyFingerprint] {
        guard let bytes = try PrivateFile.read(path, limit: Self.sizeLimit, refusing: .writable, code: .trust) else { return [:] }
        var doors: [String: KeyFingerprint] = [:]
        for (index, line) in String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            if line.isEmpty || line.hasPrefix("#") { continue }
            let parts = line.split(separator: " ")
            guard parts.count == 2, let key = KeyFingerprint(String(parts[1])) else {
                throw MeshError(.trust, "\(path):\(index + 1): this is no HOST:PORT SHA256:…", hint: "correct or remove the line")
            }
            doors[String(parts[0])] = key
        }
        return doors
    }
}
