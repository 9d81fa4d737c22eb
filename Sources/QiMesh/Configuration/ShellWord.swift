import Foundation

/// A text as one word of a shell, for commands that are copied into a terminal: `$(reboot)@evil.example` is a valid address.
public enum ShellWord {
    /// The text as it is where a shell reads nothing into it, else in single quotes.
    public static func quoted(_ text: String) -> String {
        let isPlain = !text.isEmpty && text.utf8.allSatisfy(isPlain)
        return isPlain ? text : "'" + text.replacingOccurrences(of: "'", with: "'\\''") + "'"
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: "/.-_@+:,=%".utf8.contains(byte)
        }
    }
}
