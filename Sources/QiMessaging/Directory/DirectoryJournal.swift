/// What a directory remembers of its services over a restart: which name had which id, and whose it was; and which ids it has
/// given out. Pure; ``JournalFile`` puts it on disk.
///
/// One record is one line, `CHECKSUM KIND FIELDS…`: a crash may tear the last line, and what is torn or foreign fails its checksum
/// and is skipped. Replaying the records in order gives the state.
struct DirectoryJournal: Equatable {
    /// A service as it was registered.
    struct Registration: Equatable {
        var id: UInt32
        var name: String
        var machineID: String
        var sessionID: String
        /// nil: not known, as in a journal of an earlier version.
        var holder: DirectoryTable.Holder?
    }

    enum Record: Equatable {
        /// Every id below may have been given out.
        case next(UInt32)
        /// This id was given out.
        case given(UInt32)
        case registered(Registration)
        case removed(UInt32)
    }

    private(set) var ids = ServiceIDs()
    /// The services that were registered and not removed, by name.
    private(set) var names: [String: Registration] = [:]
    private var nameOfID: [UInt32: String] = [:]

    /// More than a directory serves; records beyond are not kept.
    static let maximumNames = 65_536
    /// Longer machine ids, session ids and principals are not remembered, and so not recognised.
    static let maximumIdentity = 256

    mutating func apply(_ record: Record) {
        switch record {
        case .next(let id): ids.skip(to: id)
        case .given(let id): ids.take(id)
        case .registered(let registration):
            ids.take(registration.id)
            guard names.count < Self.maximumNames || names[registration.name] != nil else { return }
            // An id is one service's, and a service has one id.
            if let other = nameOfID[registration.id], other != registration.name { names[other] = nil }
            if let old = names.updateValue(registration, forKey: registration.name) { nameOfID[old.id] = nil }
            nameOfID[registration.id] = registration.name
        case .removed(let id):
            if let name = nameOfID.removeValue(forKey: id) { names[name] = nil }
        }
    }

    /// The fewest records that give this state.
    var records: [Record] {
        [.next(ids.next)] + ids.ahead.sorted().map { .given($0) }
            + names.values.sorted { $0.id < $1.id }.map { .registered($0) }
    }

    // MARK: - Lines

    /// A record as its line, with the line feed.
    static func line(_ record: Record) -> String {
        let text =
            switch record {
            case .next(let id): "next \(id)"
            case .given(let id): "given \(id)"
            case .removed(let id): "removed \(id)"
            case .registered(let it):
                "registered \(it.id) \(escaped(it.name)) \(identity(it.machineID)) \(identity(it.sessionID))"
                    + (it.holder.map { " \(identity($0.principal)) \($0.zone)" } ?? "")
            }
        return "\(checksum(text)) \(text)\n"
    }

    /// The record of a line; nil for one that is torn or foreign.
    static func record(_ line: some StringProtocol) -> Record? {
        guard let space = line.firstIndex(of: " ") else { return nil }
        let text = line[line.index(after: space)...]
        guard line[..<space] == checksum(text) else { return nil }
        let fields = text.split(separator: " ", omittingEmptySubsequences: false)
        guard fields.count >= 2, let id = UInt32(fields[1]), id >= 2, id <= ServiceIDs.end else { return nil }
        switch (fields[0], fields.count) {
        case ("next", 2): return .next(id)
        case ("given", 2): return .given(id)
        case ("removed", 2): return .removed(id)
        case ("registered", 5), ("registered", 7):
            guard let name = unescaped(fields[2]), DirectoryTable.isValid(name: name), id < ServiceIDs.end,
                let machine = unescaped(fields[3]), let session = unescaped(fields[4])
            else { return nil }
            var registration = Registration(id: id, name: name, machineID: machine, sessionID: session)
            if fields.count == 7 {
                guard let principal = unescaped(fields[5]), let zone = Zone(rawValue: String(fields[6])) else { return nil }
                registration.holder = DirectoryTable.Holder(principal: principal, zone: zone)
            }
            return .registered(registration)
        default: return nil
        }
    }

    /// Replays a file's content.
    ///
    /// - Returns: the state, and how many lines were skipped.
    static func replay(_ bytes: [UInt8]) -> (journal: DirectoryJournal, skipped: Int) {
        var journal = DirectoryJournal()
        var skipped = 0
        for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: true) {
            guard line.count <= 4096, let text = String(validating: line, as: UTF8.self), let record = record(text) else {
                skipped += 1
                continue
            }
            journal.apply(record)
        }
        return (journal, skipped)
    }

    // MARK: - Fields

    private static func identity(_ text: String) -> String { text.utf8.count <= maximumIdentity ? escaped(text) : "%" }

    /// A field without blanks: everything but `[A-Za-z0-9._~-]` as `%XX`; `%` alone is the empty text.
    private static func escaped(_ text: String) -> String {
        if text.isEmpty { return "%" }
        var result = ""
        for byte in text.utf8 {
            if isPlain(byte) {
                result.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                result += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
        return result
    }

    private static func unescaped(_ text: some StringProtocol) -> String? {
        if text == "%" { return "" }
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte != UInt8(ascii: "%") {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else { return nil }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    /// CRC-32 (IEEE 802.3) as eight digits.
    private static func checksum(_ text: some StringProtocol) -> String {
        var crc = UInt32.max
        for byte in text.utf8 {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
        }
        let digits = String(~crc, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }
}
