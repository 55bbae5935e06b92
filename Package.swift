// swift-tools-version: 6.0
import PackageDescription

/// The libraries use Swift 6 mode, no system library and nothing above the standard library,
/// so that another package can depend on them; only the executable links what it needs.
let package = Package(
    name: "vscript",
    products: [
        .executable(name: "vscript", targets: ["VScriptCommand"]),
        .library(name: "VScript", targets: ["VScript"]),
        .library(name: "VirtualMachine", targets: ["VirtualMachine"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
    ],
    targets: [
        .target(name: "CHostSupport"),
        .target(name: "X86"),
        .target(name: "PCDevices"),
        .target(name: "X86Engine", dependencies: ["X86", "CHostSupport"]),
        .target(name: "Hypervisors", dependencies: ["X86", "X86Engine", "PCDevices"]),
        .target(
            name: "VirtualMachine", dependencies: ["X86", "X86Engine", "PCDevices", "Hypervisors", "CHostSupport"]),
        .target(name: "VScriptSyntax"),
        .target(name: "VScript", dependencies: ["VScriptSyntax", "VirtualMachine", "X86", "CHostSupport"]),
        .target(name: "VScriptREPL", dependencies: ["VScript", "VScriptSyntax", "VirtualMachine", "X86"]),
        // GNU readline, which only the executable may link: it is under the GPL.
        .target(name: "CReadline", linkerSettings: [.linkedLibrary("readline")]),
        .executableTarget(
            name: "VScriptCommand",
            dependencies: [
                "VScript", "VScriptREPL", "VScriptSyntax", "VirtualMachine", "CReadline",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),
        .target(name: "_SeededNumbers", path: "Tests/_SeededNumbers"),
        .testTarget(name: "X86Tests", dependencies: ["X86", "_SeededNumbers"]),
        .testTarget(name: "PCDevicesTests", dependencies: ["PCDevices", "_SeededNumbers"]),
        // The host's own SSE and x87 units, to compare with; empty on other architectures.
        .target(name: "_HostFloatingPointOracle", path: "Tests/_HostFloatingPointOracle"),
        .testTarget(name: "X86EngineTests", dependencies: ["X86Engine", "_HostFloatingPointOracle", "_SeededNumbers"]),
        .testTarget(name: "VirtualMachineTests", dependencies: ["VirtualMachine", "_SeededNumbers"]),
        .testTarget(name: "VScriptSyntaxTests", dependencies: ["VScriptSyntax", "_SeededNumbers"]),
        .testTarget(name: "VScriptTests", dependencies: ["VScript", "_LanguageFuzz", "_SeededNumbers"]),
        // Random programs against the limits for strangers: `scripts/fuzz`, and a short form among the tests.
        .target(
            name: "_LanguageFuzz", dependencies: ["VScript", "VScriptSyntax", "_SeededNumbers"],
            path: "Tests/_LanguageFuzz"),
        .executableTarget(
            name: "LanguageFuzz",
            dependencies: [
                "VScript", "_LanguageFuzz", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], path: "Tests/LanguageFuzz"),
        // They run the command as a child process, in pipes and on a pseudo-terminal.
        .testTarget(name: "VScriptCommandTests", dependencies: ["VScriptCommand", "_SeededNumbers"]),
        .testTarget(
            name: "VScriptREPLTests",
            dependencies: ["VScript", "VScriptREPL", "VScriptSyntax", "VirtualMachine", "X86"]),
    ],
    swiftLanguageModes: [.v6]
)

#if arch(x86_64) && os(Linux)
// The engine compared with the host's own processor: `scripts/conformance`, and a short form among the tests.
package.targets += [
    .target(
        name: "_HostConformance", dependencies: ["X86", "X86Engine", "_SeededNumbers"], path: "Tests/_HostConformance"),
    .executableTarget(
        name: "Conformance", dependencies: ["X86", "_HostConformance"], path: "Tests/Conformance"),
    .testTarget(name: "ConformanceTests", dependencies: ["X86", "_HostConformance"]),
]
#endif
