// swift-tools-version: 6.2
import CompilerPluginSupport
import PackageDescription

// What every target of ours is compiled with. The dependency arrows are checked by `.ci/imports`.
let settings: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

func nio(_ name: String) -> Target.Dependency { .product(name: name, package: "swift-nio") }
let nioSSL: Target.Dependency = .product(name: "NIOSSL", package: "swift-nio-ssl")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let collections: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let unixSignals: Target.Dependency = .product(name: "UnixSignals", package: "swift-service-lifecycle")
func syntax(_ name: String) -> Target.Dependency { .product(name: name, package: "swift-syntax") }

let package = Package(
    name: "QiMesh",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "QiMessaging", targets: ["QiMessaging"]),
        .library(name: "QiMesh", targets: ["QiMesh"]),
        .library(name: "QiMeshTesting", targets: ["QiMeshTesting"]),
        .executable(name: "qimesh", targets: ["QiMeshCLI"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swiftlang/swift-syntax", from: "603.0.1"),
    ],
    targets: [
        .systemLibrary(name: "CStrophe", providers: [.apt(["libstrophe-dev"])]),
        // Not `CSystem`: swift-system has a target of that name, and target names are unique across the package graph.
        .target(name: "CQiSystem"),
        .target(
            name: "QiWire",
            dependencies: [nio("NIOCore")],
            swiftSettings: settings),
        .macro(
            name: "QiMeshMacros",
            dependencies: [
                syntax("SwiftSyntax"), syntax("SwiftSyntaxBuilder"), syntax("SwiftSyntaxMacros"), syntax("SwiftParser"),
                syntax("SwiftDiagnostics"), syntax("SwiftCompilerPlugin"),
            ],
            swiftSettings: settings),
        .target(
            name: "QiMessaging",
            dependencies: [
                "QiWire", "QiMeshMacros", "CQiSystem", nio("NIOCore"), nio("NIOPosix"), nio("NIOConcurrencyHelpers"), nioSSL, logging,
                .product(name: "X509", package: "swift-certificates"), .product(name: "SwiftASN1", package: "swift-asn1"),
                collections, crypto, lifecycle, unixSignals, nio("NIOTLS"),
            ],
            swiftSettings: settings),
        .target(
            name: "XMPP",
            dependencies: ["CStrophe", nio("NIOCore"), nio("NIOPosix"), nio("NIOConcurrencyHelpers"), logging, collections, crypto],
            swiftSettings: settings),
        .target(
            name: "QiMesh",
            dependencies: [
                "QiMessaging", "QiWire", "CQiSystem", "XMPP", nio("NIOCore"), nio("NIOPosix"), nio("NIOConcurrencyHelpers"),
                nioSSL,
                .product(name: "X509", package: "swift-certificates"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
                crypto, .product(name: "Yams", package: "Yams"), logging, lifecycle, nio("NIOTLS"),
            ],
            swiftSettings: settings),
        .target(
            name: "QiMeshTesting",
            dependencies: ["QiMessaging", "QiWire", "XMPP", nio("NIOCore"), nio("NIOPosix"), nio("NIOEmbedded"), logging],
            swiftSettings: settings),
        .executableTarget(
            name: "QiMeshCLI",
            dependencies: [
                "QiMesh", "QiMessaging", "QiWire",
                .product(name: "ArgumentParser", package: "swift-argument-parser"), lifecycle,
                unixSignals, logging,
            ],
            swiftSettings: settings),
        .testTarget(
            name: "QiWireTests",
            dependencies: ["QiWire", nio("NIOCore")],
            exclude: ["FailCases"],
            resources: [.copy("Vectors")],
            swiftSettings: settings),
        .testTarget(
            name: "XMPPTests",
            dependencies: [
                "XMPP", "QiMeshTesting", nio("NIOCore"), nio("NIOPosix"), nio("NIOEmbedded"), nioSSL, logging,
            ],
            exclude: ["FailCases"],
            swiftSettings: settings),
        .testTarget(
            name: "QiMessagingTests",
            dependencies: [
                "QiMessaging", "QiWire", "QiMeshTesting", "CQiSystem", nio("NIOCore"), nio("NIOPosix"), nio("NIOEmbedded"), nioSSL, logging,
            ],
            exclude: ["FailCases"],
            swiftSettings: settings),
        .testTarget(
            name: "QiMeshTests",
            dependencies: [
                "QiMesh", "QiMessaging", "QiWire", "XMPP", "QiMeshTesting", nio("NIOCore"), nio("NIOPosix"), nio("NIOEmbedded"),
                nio("NIOTLS"), nioSSL,
                logging,
            ],
            swiftSettings: settings),
        .testTarget(
            name: "CommandTests",
            dependencies: [
                "QiMeshCLI", "QiMesh", "QiMessaging", "QiWire", nio("NIOCore"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: settings),
        .testTarget(
            name: "InteropTests",
            dependencies: ["QiMessaging", "QiWire", "QiMeshTesting", nio("NIOCore"), nio("NIOPosix")],
            resources: [.copy("Peers")],
            swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)
