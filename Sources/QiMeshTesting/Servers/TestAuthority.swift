public import Foundation

/// A certificate authority of its own for one test, made with the `openssl` command.
public struct TestAuthority: Sendable {
    /// PEM file of the authority's certificate.
    public let certificate: URL
    private let key: URL
    private let folder: URL

    /// Makes an authority whose files live in that folder. Throws ``ServerFailure`` when `openssl` fails or is missing.
    public init(in folder: URL, name: String = "ca") throws {
        self.folder = folder
        certificate = folder.appendingPathComponent("\(name).pem")
        key = folder.appendingPathComponent("\(name).key")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try Command.run([
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=Test authority \(name)", "-addext", "basicConstraints=critical,CA:TRUE", "-addext",
            "keyUsage=critical,keyCertSign,cRLSign", "-keyout", key.path, "-out", certificate.path,
        ])
    }

    /// Issues a certificate for a server name.
    /// - Returns: PEM files of the certificate and its key.
    public func issue(for host: String) throws -> (certificate: URL, key: URL) {
        let leaf = folder.appendingPathComponent("\(host).crt")
        let leafKey = folder.appendingPathComponent("\(host).key")
        let request = folder.appendingPathComponent("\(host).csr")
        let extensions = folder.appendingPathComponent("\(host).ext")
        let names = ["", "proxy.", "pubsub."].map { "DNS:\($0)\(host)" }.joined(separator: ",")
        try Data("subjectAltName=\(names)\nextendedKeyUsage=serverAuth,clientAuth\n".utf8).write(to: extensions)
        try Command.run([
            "openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
            "/CN=\(host)", "-keyout", leafKey.path, "-out", request.path,
        ])
        try Command.run([
            "openssl", "x509", "-req", "-in", request.path, "-CA", certificate.path, "-CAkey", key.path,
            "-CAcreateserial", "-days", "2", "-extfile", extensions.path, "-out", leaf.path,
        ])
        return (leaf, leafKey)
    }
}
