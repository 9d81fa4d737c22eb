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

let package = Package(
    name: "QiMesh",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    ],
    targets: [
        .target(
            name: "QiWire",
            dependencies: [nio("NIOCore")],
            swiftSettings: settings),
        .testTarget(
            name: "QiWireTests",
            dependencies: ["QiWire", nio("NIOCore")],
            resources: [.copy("Vectors")],
            swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)
