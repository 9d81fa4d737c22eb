public import Foundation
public import QiMessaging
import QiWire

/// One line of the audit file: a record and when it was made. As JSON with the fields `time`, `event`, `principal`, `zone`, `target`,
/// `access`, `decision` (`allow`, `deny`), `rule`, `path`, `detail`, `count`; those without a value are left out.
public struct AuditLine: Hashable, Sendable {
    public var time: Date
    public var record: AuditRecord
    /// How many denials that differ in nothing but their target the line stands for, when that is not one.
    public var count: Int?

    public init(time: Date, record: AuditRecord, count: Int? = nil) {
        self.time = time
        self.record = record
        self.count = count
    }

    /// Texts of peers are cut to this many bytes: they choose how long the names are that they ask for.
    private static let textLimit = 512

    /// The record with texts that are cut; the same again for one that is cut already.
    static func bounded(_ record: AuditRecord) -> AuditRecord {
        func cut(_ text: String) -> String { text.utf8.count <= textLimit ? text : text.cut(toBytes: textLimit) + "…" }
        var record = record
        (record.principal, record.target) = (cut(record.principal), cut(record.target))
        (record.access, record.path, record.detail) = (cut(record.access), cut(record.path), record.detail.map(cut))
        return record
    }

    private struct Fields: Codable {
        var time: String
        var event: String
        var principal: String
        var zone: String
        var target: String
        var access: String
        var decision: String
        var rule: Int?
        var path: String
        var detail: String?
        var count: Int?
    }

    /// The line, without its end.
    ///
    /// - Throws: never for a record of ours; what `JSONEncoder` throws.
    func encoded() throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.withoutEscapingSlashes, .sortedKeys]
        let record = Self.bounded(record)
        return Array(
            try encoder.encode(
                Fields(
                    time: time.formatted(Self.format), event: record.event, principal: record.principal, zone: record.zone.rawValue,
                    target: record.target, access: record.access, decision: record.isAllowed ? "allow" : "deny",
                    rule: record.rule, path: record.path, detail: record.detail, count: count)))
    }

    /// Reads a line; nil for one that is none, as after a crash.
    public init?(_ line: some Sequence<UInt8>) {
        guard let fields = try? JSONDecoder().decode(Fields.self, from: Data(line)), let zone = Zone(rawValue: fields.zone),
            let time = try? Date(fields.time, strategy: Self.format)
        else { return nil }
        self.init(
            time: time,
            record: AuditRecord(
                event: fields.event, principal: fields.principal, zone: zone, target: fields.target, access: fields.access,
                isAllowed: fields.decision == "allow", rule: fields.rule, path: fields.path, detail: fields.detail),
            count: fields.count)
    }

    /// UTC with milliseconds (RFC 3339).
    static let format = Date.ISO8601FormatStyle(includingFractionalSeconds: true)

    /// The time as it is in the file.
    public var timeText: String { time.formatted(Self.format) }
}
