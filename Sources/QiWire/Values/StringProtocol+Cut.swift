extension StringProtocol {
    /// The longest beginning that has at most so many bytes of UTF-8 and ends between two Unicode scalars. Never `prefix` for texts from
    /// outside: that counts characters, and one character may carry megabytes of combining marks.
    package func cut(toBytes limit: Int) -> String {
        guard utf8.count > limit else { return String(self) }
        var count = Swift.max(0, limit)
        while count > 0, utf8[utf8.index(utf8.startIndex, offsetBy: count)] & 0xC0 == 0x80 { count -= 1 }
        return String(decoding: utf8.prefix(count), as: UTF8.self)
    }
}
