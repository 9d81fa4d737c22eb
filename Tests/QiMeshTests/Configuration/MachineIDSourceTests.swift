import Testing

@testable import QiMesh

@Suite struct MachineIDSourceTests {
    /// Of libqi's `getMachineIdFromSystemd` (`src/os.cpp`), computed by Python: `uuid.uuid5(salt, "0123456789abcdef" * 2)`.
    @Test(arguments: ["0123456789abcdef0123456789abcdef\n", "0123456789ABCDEF0123456789ABCDEF"])
    func ofSystemdIsWhatLibqiComputes(_ content: String) throws {
        try withTemporaryDirectory { folder in
            try write(content, to: folder + "/machine-id", mode: 0o444)
            let id = try MachineIDSource.systemd.resolve(home: folder, systemd: folder + "/machine-id")
            #expect(id == "83ac8615-f356-53d8-b2ac-2f6eb72e38c4")
        }
    }

    @Test(arguments: [
        "", "uninitialized\n", "0123456789abcdef\n", "g123456789abcdef0123456789abcdef\n", "00000000000000000000000000000000\n",
    ])
    func aMachineWithoutAnIDIsAnError(_ content: String) throws {
        try withTemporaryDirectory { folder in
            try write(content, to: folder + "/machine-id")
            let error = #expect(throws: MeshError.self) {
                _ = try MachineIDSource.systemd.resolve(home: folder, systemd: folder + "/machine-id")
            }
            #expect(error?.code == .configuration && error?.message.contains("holds no machine id") == true)
        }
    }

    @Test func ofAFileIsItsFirstLine() throws {
        try withTemporaryDirectory { folder in
            try write("  here \nthere\n", to: folder + "/id")
            #expect(try MachineIDSource.file(folder + "/id").resolve(home: folder) == "here")
            // One without end.
            #expect(throws: MeshError.self) { _ = try MachineIDSource.file("/dev/zero").resolve(home: folder) }
        }
    }
}
