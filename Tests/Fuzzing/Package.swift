// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

// Coverage of our own code: that of every package costs a fifth of the inputs, and says nothing of what is under test.
let covered = settings + [.unsafeFlags(["-sanitize=fuzzer"])]

func product(_ name: String, _ package: String) -> Target.Dependency { .product(name: name, package: package) }
func nio(_ name: String) -> Target.Dependency { product(name, "swift-nio") }

// Built and run by .ci/fuzz. Not the product of the root's package, but its sources with coverage, without the declarations of the
// macros. What each target does with its input lies beside the tests that replay found inputs: Sources/Fuzz has links to it.
let package = Package(
    name: "Fuzzing",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        .target(name: "CFuzzer"),
        .target(name: "CQiSystem"),
        .systemLibrary(name: "CStrophe", providers: [.apt(["libstrophe-dev"])]),
        .target(name: "QiWire", dependencies: [nio("NIOCore")], swiftSettings: covered),
        .target(
            name: "QiMessaging",
            dependencies: [
                "QiWire", "CQiSystem", nio("NIOCore"), nio("NIOPosix"), nio("NIOConcurrencyHelpers"), nio("NIOTLS"),
                product("NIOSSL", "swift-nio-ssl"), product("Logging", "swift-log"), product("DequeModule", "swift-collections"),
                product("Crypto", "swift-crypto"), product("X509", "swift-certificates"), product("SwiftASN1", "swift-asn1"),
                product("ServiceLifecycle", "swift-service-lifecycle"),
                product("UnixSignals", "swift-service-lifecycle"),
            ],
            exclude: ["Support/Macros.swift"],
            swiftSettings: covered),
        .target(
            name: "XMPP",
            dependencies: [
                "CStrophe", nio("NIOCore"), nio("NIOPosix"), nio("NIOConcurrencyHelpers"), product("Logging", "swift-log"),
                product("DequeModule", "swift-collections"), product("Crypto", "swift-crypto"),
            ],
            swiftSettings: covered),
        .executableTarget(
            name: "Fuzz",
            dependencies: [
                "CFuzzer", "CStrophe", "QiWire", "QiMessaging", "XMPP", product("Logging", "swift-log"), nio("NIOCore"),
                nio("NIOEmbedded"),
            ],
            swiftSettings: [.unsafeFlags(["-sanitize=fuzzer"])], linkerSettings: [.unsafeFlags(["-sanitize=fuzzer"])]),
    ],
    swiftLanguageModes: [.v6]
)
