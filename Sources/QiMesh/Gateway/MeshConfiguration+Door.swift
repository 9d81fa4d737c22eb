import NIOSSL

extension MeshConfiguration {
    /// The key that the public door shows to clients, of its certificate; nil without a gateway. A door that was given no certificate gets
    /// one of our own making, now if it has none yet.
    ///
    /// - Throws: `configuration` or `identity` for a certificate that cannot be read, or can be changed by other users.
    public func doorKey(paths: MeshPaths) throws(MeshError) -> KeyFingerprint? {
        guard let gateway else { return nil }
        return try gateway.doorKey(paths: paths)
    }
}

extension MeshConfiguration.Gateway {
    /// See ``MeshConfiguration/doorKey(paths:)``.
    func doorKey(paths: MeshPaths) throws(MeshError) -> KeyFingerprint {
        guard let path = certificate else {
            try paths.prepareDirectories()
            return try DeviceIdentity.loadOrCreate(directory: paths.stateDirectory, fileName: GatewayCertificate.fileName).fingerprint
        }
        guard let bytes = try PrivateFile.read(path, limit: 4 << 20, refusing: .writable, code: .configuration) else {
            throw MeshError(.configuration, "there is no file \(path) (gateway.certificate)")
        }
        do {
            guard let leaf = try NIOSSLCertificate.fromPEMBytes(bytes).first else {
                throw MeshError(.configuration, "\(path) holds no certificate (gateway.certificate)")
            }
            return KeyFingerprint(subjectPublicKeyInfo: try leaf.extractPublicKey().toSPKIBytes())
        } catch let error as MeshError {
            throw error
        } catch {
            throw MeshError(.configuration, "\(path) holds no readable PEM certificate (gateway.certificate)", cause: error)
        }
    }
}
