import Crypto
import Foundation
public import NIOSSL
import SwiftASN1
import X509

/// What makes this device itself towards other devices: a P-256 key and a certificate the key has signed for itself.
///
/// Peers know the key (``fingerprint``), never the certificate: validity and names in it are not judged by anybody. Both are kept
/// in `identity.pem`, mode 0600, in a directory of mode 0700. Whoever can read the file can be this device.
public struct DeviceIdentity: Sendable {
    /// What peers pin.
    public let fingerprint: KeyFingerprint
    /// A random name of 16 hexadecimal digits, the common name of the certificate; says nothing about device or owner.
    public let deviceID: String
    /// The certificate as TLS presents it.
    public let certificate: NIOSSLCertificate
    /// The private key as TLS uses it.
    public let privateKey: NIOSSLPrivateKey

    /// The name of the file inside the directory.
    static let fileName = "identity.pem"
    /// A key and a certificate of ours take 1 000 bytes.
    private static let sizeLimit = 16_384

    /// The identity kept in `directory`, made there if there is none yet.
    ///
    /// Of several processes that start together one makes the identity and all others read it.
    /// - Parameter directory: an absolute path; created with mode 0700 if missing.
    /// - Throws: `identity` when the directory or the file is open to other users, belongs to somebody else, or is damaged. A
    ///   damaged file is never replaced: peers would take the new key for an impostor.
    public static func loadOrCreate(directory: String) throws(MeshError) -> DeviceIdentity {
        try loadOrCreate(directory: directory, fileName: fileName)
    }

    /// As above, under another name: a key for another purpose.
    static func loadOrCreate(directory: String, fileName: String) throws(MeshError) -> DeviceIdentity {
        try PrivateDirectory.ensure(directory, code: .identity)
        let path = directory + "/" + fileName
        if let identity = try load(path) { return identity }
        if try PrivateFile.create(path, with: Array(makePEM().utf8), code: .identity), let identity = try load(path) {
            return identity
        }
        guard let identity = try load(path) else { throw MeshError(.identity, "\(path) vanished while it was made") }
        return identity
    }

    /// A new key in the place of the one kept in `directory`, which is gone for good: every peer must accept the new one.
    /// - Throws: `identity` as ``loadOrCreate(directory:)``, and when the file cannot be written; the old key is then kept.
    public static func rotate(directory: String) throws(MeshError) -> DeviceIdentity {
        try PrivateDirectory.ensure(directory, code: .identity)
        let path = directory + "/" + fileName
        try PrivateFile.replace(path, with: Array(makePEM().utf8), code: .identity)
        guard let identity = try load(path) else { throw MeshError(.identity, "\(path) vanished while it was made") }
        return identity
    }

    /// The identity in the file, `nil` when there is no file.
    private static func load(_ path: String) throws(MeshError) -> DeviceIdentity? {
        guard let bytes = try PrivateFile.read(path, limit: sizeLimit, refusing: .readable, code: .identity) else { return nil }
        do {
            return try DeviceIdentity(pem: String(decoding: bytes, as: UTF8.self))
        } catch {
            throw MeshError(
                .identity, "\(path) is damaged, so this device cannot prove who it is",
                hint:
                    "restore the file from a backup; or remove it, and have every contact accept the new key with `qimesh trust`",
                cause: error)
        }
    }

    /// Reads key and certificate, in that order, and nothing else.
    private init(pem: String) throws {
        let documents = try PEMDocument.parseMultiple(pemString: pem)
        guard documents.count == 2 else {
            throw MeshError(.identity, "the file holds \(documents.count) PEM blocks instead of two")
        }
        let key = try P256.Signing.PrivateKey(pemRepresentation: documents[0].pemString)
        let parsed = try Certificate(pemDocument: documents[1])
        guard parsed.publicKey == Certificate.PublicKey(key.publicKey) else {
            throw MeshError(.identity, "the certificate in the file belongs to another key")
        }
        guard let name = parsed.subject.first?.first.flatMap({ String($0.value) }) else {
            throw MeshError(.identity, "the certificate in the file names no device")
        }
        deviceID = name
        certificate = try NIOSSLCertificate(bytes: documents[1].derBytes, format: .der)
        privateKey = try NIOSSLPrivateKey(bytes: Array(key.derRepresentation), format: .der)
        fingerprint = KeyFingerprint(subjectPublicKeyInfo: key.publicKey.derRepresentation)
    }

    /// A new key and its certificate as PEM.
    private static func makePEM() throws(MeshError) -> String {
        do {
            let key = P256.Signing.PrivateKey()
            let name = try DistinguishedName { CommonName(randomDeviceID()) }
            // A robot without a battery-backed clock may believe it is 1970: nobody judges these dates, they only have to be
            // writable.
            let now = Date()
            let certificate = try Certificate(
                version: .v3,
                serialNumber: Certificate.SerialNumber(),
                publicKey: Certificate.PublicKey(key.publicKey),
                notValidBefore: now,
                notValidAfter: now.addingTimeInterval(20 * 365.25 * 86_400),
                issuer: name,
                subject: name,
                signatureAlgorithm: .ecdsaWithSHA256,
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.notCertificateAuthority)
                    Critical(KeyUsage(digitalSignature: true))
                },
                issuerPrivateKey: Certificate.PrivateKey(key))
            return key.pemRepresentation + "\n" + (try certificate.serializeAsPEM().pemString) + "\n"
        } catch {
            throw MeshError(.identity, "cannot make a key for this device", cause: error)
        }
    }

    private static func randomDeviceID() -> String {
        let digits = String(UInt64.random(in: .min ... .max), radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

extension DeviceIdentity: CustomStringConvertible, CustomReflectable {
    /// Identifier and fingerprint; never the private key.
    public var description: String { "\(deviceID) \(fingerprint)" }

    /// Shows what ``description`` shows, so that `dump` cannot print the key either.
    public var customMirror: Mirror { Mirror(self, children: ["deviceID": deviceID, "fingerprint": fingerprint]) }
}
