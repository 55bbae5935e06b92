/// Archives in cpio's "newc" format, laid out by cpio(5).
enum NewcArchive {
    /// One file.
    static func entry(_ name: String, _ data: [UInt8] = [], mode: Int = 0o100644) -> [UInt8] {
        func field(_ value: Int) -> String {
            let text = String(value, radix: 16, uppercase: true)
            return String(repeating: "0", count: 8 - text.count) + text
        }
        let numbers = [1, mode, 0, 0, 1, 0, data.count, 0, 0, 0, 0, name.utf8.count + 1, 0]
        var bytes = Array(("070701" + numbers.map(field).joined() + name + "\0").utf8)
        while bytes.count % 4 != 0 { bytes.append(0) }
        bytes += data
        while bytes.count % 4 != 0 { bytes.append(0) }
        return bytes
    }

    /// What ends an archive.
    static var end: [UInt8] { entry("TRAILER!!!") }
}
