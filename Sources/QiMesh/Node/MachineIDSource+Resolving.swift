import Foundation
import QiMessaging

extension MachineIDSource {
    /// The machine id this source names; `home` is where libqi keeps its file.
    func resolve(home: String) throws(MeshError) -> String {
        switch self {
        case .automatic:
            do throws(QiError) {
                return try MachineID.loadOrCreate(home: home)
            } catch {
                throw MeshError(.configuration, error.message, hint: error.hint)
            }
        case .literal(let text): return text
        case .systemd: return try Self.firstLine(of: "/etc/machine-id")
        case .file(let path): return try Self.firstLine(of: path)
        }
    }

    private static func firstLine(of path: String) throws(MeshError) -> String {
        guard let data = FileManager.default.contents(atPath: path), data.count <= 4096,
            let line = try PlainText.decode(data, path).split(whereSeparator: \.isNewline).first?
                .trimmingCharacters(in: .whitespaces), !line.isEmpty
        else {
            throw MeshError(
                .configuration, "\(path) holds no machine id", hint: "name another source: internal.machine-id")
        }
        return line
    }
}
