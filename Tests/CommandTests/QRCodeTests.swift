import Testing

@testable import QiMeshCLI

/// The code in the terminal, beside what another encoder (the Python package `qrcode` 8.2) makes of the same bytes with the same version,
/// level and mask. `Tests/EndToEnd/test_pairing.py` compares the two at run time.
@Suite struct QRCodeTests {
    /// Each row's modules as a number, the leftmost the highest bit.
    private func rows(_ code: QRCode) -> [String] {
        (0..<code.size).map { y in
            let bits = (0..<code.size).reduce(UInt64(0)) { $0 << 1 | (code.isDark($1, y) ? 1 : 0) }
            let digits = String(bits, radix: 16)
            return String(repeating: "0", count: (code.size + 3) / 4 - digits.count) + digits
        }
    }

    @Test func isWhatAnotherEncoderMakes() throws {
        let small = try #require(QRCode(Array("qimesh:a@b/x".utf8)))
        #expect(small.version == 1 && small.level == .medium && small.mask == 2)
        #expect(
            rows(small) == [
                "1fc67f", "104241", "17515d", "175a5d", "175f5d", "105941", "1fd57f", "001b00", "17cd7c", "009531",
                "08568e", "0c88be", "0ac230", "001d1b", "1fc52e", "1055ac", "175c73", "175a3c", "17574c", "10461c",
                "1fda6a"
            ])
    }

    /// The usual length of a token.
    @Test func aTokenIsWhatAnotherEncoderMakes() throws {
        let text = "qimesh:pepper@robots.example/AAECAwQFBgcICQoLDA0ODw/S_USLzRFVMU73i67jNK349FgCtYxw4Wl18ziPHeFRZo//Pepper"
        let code = try #require(QRCode(Array(text.utf8)))
        #expect(code.version == 5 && code.level == .low && code.mask == 7)
        #expect(
            rows(code) == [
                "1fc4ae247f", "105cb12a41", "17501f245d", "17485f2e5d", "175d6d8d5d", "1054ff5f41", "1fd555557f",
                "00147b9700", "1a62491d76", "1e89c0ff4f", "0fd8ce91c3", "0b0df7ca0b", "05e13f01c9", "01298f0669",
                "155305a0d1", "171e9ced60", "1acc1e5a6f", "1b0bf5dc59", "1bc51018a7", "06326bb2f4", "1366453550",
                "1d0d84f9c3", "1b6c1694eb", "0c25d6dfb2", "0579003be8", "022149706f", "14cf912d85", "0da2ab9ea0",
                "1b60b9f1fd", "0015127d1b", "1fd4c9cf57", "10453fe515", "174de925f1", "17583bf023", "17400f8f1b",
                "105fb4ab20", "1fdfc913db"
            ])
    }

    @Test(arguments: [
        (0, 1, QRCode.Level.medium), (14, 1, .medium), (15, 1, .low), (17, 1, .low), (18, 2, .medium), (106, 5, .low), (107, 6, .low),
        (84, 5, .medium), (230, 9, .low), (231, 10, .low), (271, 10, .low), (858, 20, .low),
    ])
    func takesTheSmallestVersion(_ length: Int, _ version: Int, _ level: QRCode.Level) throws {
        let code = try #require(QRCode(Array(repeating: 0x61, count: length)))
        #expect(code.version == version)
        #expect(code.level == level)
        #expect(code.size == 17 + 4 * version)
    }

    @Test func refusesWhatDoesNotFit() { #expect(QRCode(Array(repeating: 0, count: 859)) == nil) }

    @Test func drawsEveryModuleWithABorder() throws {
        let code = try #require(QRCode(Array("qimesh:a@b/x".utf8)))
        let lines = code.terminalLines(colour: false)
        #expect(lines.count == (code.size + 9) / 2)
        for (index, line) in lines.enumerated() {
            #expect(line.count == code.terminalWidth())
            for (column, character) in line.enumerated() {
                let (x, y) = (column - 4, index * 2 - 4)
                // Light is drawn.
                #expect("\u{2588}\u{2580}".contains(character) == !code.isDark(x, y))
                if y + 1 < code.size + 4 { #expect("\u{2588}\u{2584}".contains(character) == !code.isDark(x, y + 1)) }
            }
        }
        let coloured = code.terminalLines(colour: true)
        #expect(coloured.allSatisfy { $0.hasPrefix("\u{1B}[38;5;231;48;5;16m") && $0.hasSuffix("\u{1B}[0m") })
    }

    @Test("a usual token fits into a terminal of 24 lines, with a narrower border where it has to be", arguments: [
        (102, 80, 24, QRCode.Border.full), (106, 45, 24, .full), (107, 80, 24, .narrow), (134, 45, 24, .narrow), (134, 80, 26, .full),
        (134, 44, 50, nil), (135, 80, 24, nil), (102, 80, 20, nil),
    ] as [(Int, Int, Int, QRCode.Border?)])
    func border(_ length: Int, _ width: Int, _ height: Int, _ expected: QRCode.Border?) throws {
        let code = try #require(QRCode(Array(repeating: 0x61, count: length)))
        let border = code.border(width: width, height: height)
        #expect(border == expected)
        guard let border else { return }
        let lines = code.terminalLines(colour: false, border)
        #expect(lines.count < height && lines.count == code.terminalHeight(border))
        #expect(lines.allSatisfy { $0.count <= width })
    }

    @Test func multipliesInItsField() {
        // 2 is a generator: its powers are all elements but zero.
        var seen: Set<UInt8> = []
        var power: UInt8 = 1
        for _ in 0..<255 {
            seen.insert(power)
            power = ReedSolomon.multiply(power, 2)
        }
        #expect(seen.count == 255 && power == 1)
        #expect(ReedSolomon.multiply(0x80, 2) == 0x1D)
        // ISO/IEC 18004 annex I: "01234567" in version 1-M.
        let data: [UInt8] = [0x10, 0x20, 0x0C, 0x56, 0x61, 0x80, 0xEC, 0x11, 0xEC, 0x11, 0xEC, 0x11, 0xEC, 0x11, 0xEC, 0x11]
        let expected: [UInt8] = [0xA5, 0x24, 0xD4, 0xC1, 0xED, 0x36, 0xC7, 0x87, 0x2C, 0x55]
        #expect(ReedSolomon(degree: 10).remainder(of: data) == expected)
    }
}
