import Glibc

/// This machine's id as libqi knows it: the text in `$HOME/.config/qimessaging/machine_id`, made at first use. All peers on
/// one machine must agree on it, or they will not use each other's loopback endpoints (wire reference §19, §19.1 h).
public enum MachineID {
    /// Reads the id below `home`, or creates it: a random UUID, 36 bytes, no newline, as libqi writes it.
    public static func loadOrCreate(home: String) throws(QiError) -> String {
        let directory = "\(home)/.config/qimessaging"
        let path = "\(directory)/machine_id"
        for _ in 0..<2 {
            if let text = read(path) { return text }
            makeDirectories(directory)
            // Linked into place, so that a libqi process that starts now never reads half an id, and the first one wins.
            let temporary = "\(path).\(getpid())"
            guard write(uuid(), to: temporary) else { break }
            link(temporary, path)
            unlink(temporary)
        }
        throw QiError(
            .invalid, "cannot read or create the machine id in \(path): \(String(cString: strerror(errno)))",
            hint: "make the folder writable, or name an id in the configuration (internal.machine-id)")
    }

    private static func read(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        guard count > 0 else { return nil }
        let text = String(decoding: bytes.prefix(count), as: UTF8.self)
        let trimmed = text.split(whereSeparator: \.isWhitespace).first.map(String.init)
        return trimmed.flatMap { $0.isEmpty ? nil : $0 }
    }

    private static func write(_ text: String, to path: String) -> Bool {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        return Glibc.write(descriptor, bytes, bytes.count) == bytes.count
    }

    private static func makeDirectories(_ path: String) {
        var partial = ""
        for component in path.split(separator: "/") {
            partial += "/\(component)"
            mkdir(partial, 0o755)
        }
    }

    /// A random UUID (version 4) as text.
    static func uuid() -> String {
        var generator = SystemRandomNumberGenerator()
        var bytes = (0..<16).map { _ in UInt8.random(in: 0...255, using: &generator) }
        bytes[6] = bytes[6] & 0x0F | 0x40
        bytes[8] = bytes[8] & 0x3F | 0x80
        let digits = Array("0123456789abcdef")
        var text = ""
        for (index, byte) in bytes.enumerated() {
            if [4, 6, 8, 10].contains(index) { text.append("-") }
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return text
    }
}
