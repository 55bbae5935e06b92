// swift-tools-version: 6.0
import PackageDescription

/// A program of somebody else's that embeds the language; it needs no system library.
let package = Package(
    name: "EmbeddingExample",
    dependencies: [.package(name: "vscript", path: "../..")],
    targets: [
        .executableTarget(name: "EmbeddingExample", dependencies: [.product(name: "VScript", package: "vscript")])
    ],
    swiftLanguageModes: [.v6]
)
