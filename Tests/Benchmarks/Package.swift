// swift-tools-version: 6.2
import PackageDescription

// Build with the root's scratch path, in release for figures:
//   swift run -c release --package-path Tests/Benchmarks --scratch-path .build Benchmarks
let package = Package(
    name: "Benchmarks",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(name: "QiMesh", path: "../.."),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    ],
    targets: [
        .executableTarget(
            name: "Benchmarks",
            dependencies: [
                .product(name: "QiMessaging", package: "QiMesh"),
                .product(name: "QiMesh", package: "QiMesh"),
                .product(name: "QiMeshTesting", package: "QiMesh"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            resources: [.copy("Peers")])
    ],
    swiftLanguageModes: [.v6]
)
