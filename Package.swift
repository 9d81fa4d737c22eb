// swift-tools-version: 6.2
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

let package = Package(
    name: "QiMesh",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "QiMessaging", targets: ["QiMessaging"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        .systemLibrary(name: "CStrophe", providers: [.apt(["libstrophe-dev"])]),
        // Not `CSystem`: swift-system has a target of that name, and target names are unique across the package graph.
        .target(name: "CQiSystem"),
        .target(
            name: "QiWire",
            dependencies: [nio("NIOCore")],
            swiftSettings: settings),
        .target(
            name: "QiMessaging",
            dependencies: [
                "QiWire", "CQiSystem", nio("NIOCore"), nio("NIOPosix"), nio("NIOConcurrencyHelpers"), nioSSL, logging,
                collections, crypto, lifecycle,
            ],
            swiftSettings: settings),
        .target(
            name: "XMPP",
            dependencies: ["CStrophe", nio("NIOCore"), nio("NIOConcurrencyHelpers"), logging, collections, crypto],
            swiftSettings: settings),
        .testTarget(
            name: "QiWireTests",
            dependencies: ["QiWire", nio("NIOCore")],
            resources: [.copy("Vectors")],
            swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)
