import Crypto
import Foundation
import QiMessaging

extension MachineIDSource {
    /// The machine id this source names; `home` is where libqi keeps its file, `systemd` where systemd keeps its own.
    func resolve(home: String, systemd: String = "/etc/machine-id") throws(MeshError) -> String {
        switch self {
        case .automatic:
            do throws(QiError) {
                return try MachineID.loadOrCreate(home: home)
            } catch {
                throw MeshError(.configuration, error.message, hint: error.hint)
            }
        case .literal(let text): return text
        case .systemd: return try Self.derived(fromSystem: try Self.firstLine(of: systemd), systemd)
        case .file(let path): return try Self.firstLine(of: path)
        }
    }

    private static func firstLine(of path: String) throws(MeshError) -> String {
        guard let bytes = try PrivateFile.readPublic(path, limit: 4096, code: .configuration),
            let line = try PlainText.decode(bytes, path).split(whereSeparator: \.isNewline).first?
                .trimmingCharacters(in: .whitespaces), !line.isEmpty
        else {
            throw MeshError(
                .configuration, "\(path) holds no machine id", hint: "name another source: internal.machine-id")
        }
        return line
    }

    /// libqi's salt (`src/os.cpp`, `getMachineIdFromSystemd`).
    private static let salt: [UInt8] = [
        0xdd, 0x96, 0x97, 0x1d, 0x09, 0x12, 0x44, 0xc2, 0xa4, 0x07, 0x8e, 0x79, 0xa8, 0x29, 0x7b, 0x89,
    ]

    /// What libqi built with systemd makes of the machine id in `/etc/machine-id`: a UUID of version 5 (RFC 9562 §5.5) of its 32 digits
    /// under a salt. The id itself is confidential (machine-id(5)), and the one that peers are told is not.
    private static func derived(fromSystem id: String, _ path: String) throws(MeshError) -> String {
        guard id.utf8.count == 32, id.allSatisfy({ $0.isASCII && $0.isHexDigit }), id.contains(where: { $0 != "0" }) else {
            throw MeshError(.configuration, "\(path) holds no machine id of 32 hexadecimal digits", hint: "systemd-machine-id-setup")
        }
        var bytes = Array(Insecure.SHA1.hash(data: salt + Array(id.lowercased().utf8)).prefix(16))
        bytes[6] = bytes[6] & 0x0F | 0x50
        bytes[8] = bytes[8] & 0x3F | 0x80
        let digits = bytes.map { String(format: "%02x", $0) }
        return [0..<4, 4..<6, 6..<8, 8..<10, 10..<16].map { digits[$0].joined() }.joined(separator: "-")
    }
}
