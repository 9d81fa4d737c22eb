// swift-tools-version: 6.2
import PackageDescription

// One small program per way to use the library, built with the root's scratch path: see README.md.
let settings: [SwiftSetting] = [.treatAllWarnings(as: .error)]
let bus: Target.Dependency = .product(name: "QiMessaging", package: "QiMesh")
let mesh: Target.Dependency = .product(name: "QiMesh", package: "QiMesh")

let package = Package(
    name: "Examples",
    platforms: [.macOS(.v15)],
    dependencies: [.package(name: "QiMesh", path: "..")],
    targets: [
        .target(name: "GreeterInterface", dependencies: [bus], swiftSettings: settings),
        .executableTarget(name: "Hello", dependencies: ["GreeterInterface", bus], swiftSettings: settings),
        .executableTarget(name: "Call", dependencies: [bus], swiftSettings: settings),
        .executableTarget(name: "Signals", dependencies: ["GreeterInterface", bus], swiftSettings: settings),
        .executableTarget(name: "Remote", dependencies: ["GreeterInterface", mesh, bus], swiftSettings: settings),
        .executableTarget(name: "Cloud", dependencies: ["GreeterInterface", mesh, bus], swiftSettings: settings),
        .executableTarget(name: "Permissions", dependencies: [bus], swiftSettings: settings),
        .executableTarget(name: "Discover", dependencies: [mesh, bus], swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)
