import Foundation

extension MeshConfiguration {
    /// Larger files are refused; a real one has 3 kB.
    private static let sizeLimit = 1 << 20

    /// Reads a configuration file.
    /// - Parameters:
    ///   - path: the file, relative to the working directory or absolute.
    ///   - home: what `~/` stands for in paths; by default this user's home directory.
    /// - Throws: `configuration` when the file is missing, unreadable, larger than 1 MiB or can be changed by other users; and for every
    ///   mistake in it, as `FILE:LINE: what is wrong`, with the nearest known key for one that is unknown.
    public static func load(_ path: String, home: String? = nil) throws(MeshError) -> MeshConfiguration {
        // It names the files of keys and passwords, and who is accepted.
        guard let bytes = try PrivateFile.read(path, limit: sizeLimit, refusing: .writable, code: .configuration) else {
            throw MeshError(.configuration, "there is no configuration file \(path)", hint: "create it, or run without --config")
        }
        let text = try PlainText.decode(bytes, path)
        let absolute = path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
        return try parse(text, path: path, directory: PrivateFile.directory(of: absolute), home: home ?? NSHomeDirectory())
    }

    /// The configuration of the first file that `paths` finds, or all defaults when there is none.
    /// - Throws: as ``load(_:home:)``.
    public static func load(paths: MeshPaths) throws(MeshError) -> MeshConfiguration {
        guard let file = paths.configurationFile else { return MeshConfiguration() }
        return try load(file, home: paths.homeDirectory)
    }

    /// Reads a document. `directory` and `home` are what relative paths and `~/` in it stand for; `path` is for messages.
    static func parse(_ text: String, path: String, directory: String, home: String) throws(MeshError) -> MeshConfiguration {
        guard let document = try YAMLDocument.parse(text, path: path, limit: sizeLimit) else { return MeshConfiguration() }
        var userInfo: [CodingUserInfoKey: Any] = [:]
        if let key = CodingUserInfoKey.configurationDirectory { userInfo[key] = directory }
        if let key = CodingUserInfoKey.homeDirectory { userInfo[key] = home }
        return try document.decode(MeshConfiguration.self, userInfo: userInfo)
    }
}
