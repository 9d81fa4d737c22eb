/// Where the machine id of the internal bus comes from (reference "cli-and-config" §4, `machine-id`).
public enum MachineIDSource: Hashable, Sendable, LosslessStringConvertible {
    /// libqi's file `~/.config/qimessaging/machine_id`, made if it is missing.
    case automatic
    /// `/etc/machine-id`.
    case systemd
    /// The first line of a file at an absolute path.
    case file(String)
    /// The identifier itself.
    case literal(String)

    /// Reads `auto`, `systemd`, `file:/PATH` or an identifier of 1 to 64 letters, digits and dashes.
    public init?(_ description: String) {
        switch description {
        case "auto": self = .automatic
        case "systemd": self = .systemd
        default:
            if description.hasPrefix("file:") {
                let path = String(description.dropFirst("file:".count))
                guard path.hasPrefix("/") else { return nil }
                self = .file(path)
                return
            }
            let plain = description.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
            guard plain, (1...64).contains(description.utf8.count) else { return nil }
            self = .literal(description)
        }
    }

    /// As in the file.
    public var description: String {
        switch self {
        case .automatic: "auto"
        case .systemd: "systemd"
        case .file(let path): "file:" + path
        case .literal(let text): text
        }
    }
}
