// swift-tools-version: 6.2
import PackageDescription

// Built and run by .ci/bench and .ci/guards, with the root's scratch path.
let package = Package(
    name: "Benchmarks",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(name: "QiMesh", path: "../.."),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    ],
    targets: [
        // Needs libssl-dev.
        .executableTarget(name: "Baseline", linkerSettings: [.linkedLibrary("ssl"), .linkedLibrary("crypto")]),
        .executableTarget(
            name: "Benchmarks",
            dependencies: [
                .product(name: "QiMessaging", package: "QiMesh"),
                .product(name: "QiMesh", package: "QiMesh"),
                .product(name: "QiMeshTesting", package: "QiMesh"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ]),
    ],
    swiftLanguageModes: [.v6]
)
