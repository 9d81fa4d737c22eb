// swift-tools-version: 6.2
import PackageDescription

func syntax(_ name: String) -> Target.Dependency { .product(name: name, package: "swift-syntax") }

// The macros' tests, run by Tests/run with the root's scratch path. In the root's package they would make SwiftPM build all tests, and
// everything that these need, for the host a second time. Here the macros are an ordinary module, without their entry point.
let package = Package(
    name: "Macros",
    platforms: [.macOS(.v15)],
    dependencies: [.package(url: "https://github.com/swiftlang/swift-syntax", from: "603.0.1")],
    targets: [
        .target(
            name: "QiMeshMacros",
            dependencies: [
                syntax("SwiftSyntax"), syntax("SwiftSyntaxBuilder"), syntax("SwiftSyntaxMacros"), syntax("SwiftParser"), syntax("SwiftDiagnostics"),
            ],
            exclude: ["Plugin.swift"]),
        .testTarget(
            name: "QiMeshMacrosTests",
            dependencies: [
                "QiMeshMacros", syntax("SwiftSyntax"), syntax("SwiftSyntaxBuilder"), syntax("SwiftDiagnostics"), syntax("SwiftSyntaxMacros"),
                syntax("SwiftSyntaxMacroExpansion"), syntax("SwiftSyntaxMacrosGenericTestSupport"),
            ]),
    ],
    swiftLanguageModes: [.v6]
)
