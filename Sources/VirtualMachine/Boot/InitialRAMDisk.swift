/// What can be known of an initrd before a kernel unpacks it (Linux, Documentation/driver-api/early-userspace/
/// buffer-format.rst).
///
/// An archive that is not compressed tells where it ends, so one that was cut off is found here and not by the kernel,
/// which would go on with the part there is. Compressed archives are the kernel's to judge.
package struct InitialRAMDisk {
    private static let headerSize: UInt64 = 110
    private static let trailer = Array("TRAILER!!!".utf8)

    private let file: BootFile

    package init(_ file: BootFile) { self.file = file }

    /// Throws if the file is empty, or is a cpio archive that is not complete.
    package func check() throws(BootError) {
        guard file.size > 0 else { throw .empty(file: file.name) }
        var offset: UInt64 = 0
        while let next = archive(from: offset) {
            offset = try end(ofArchiveAt: next)
        }
    }

    /// The next archive, behind the zeros that may part it from the last; nil if something else or nothing comes.
    private func archive(from offset: UInt64) -> UInt64? {
        var start = offset
        while start < file.size, file.bytes[Int(start)] == 0 { start += 1 }
        return isEntry(at: start) ? start : nil
    }

    /// The magic numbers of the "newc" format, without and with checksums.
    private func isEntry(at offset: UInt64) -> Bool {
        guard offset + 6 <= file.size else { return false }
        let magic = file.bytes[Int(offset)..<Int(offset) + 6]
        return magic.elementsEqual("070701".utf8) || magic.elementsEqual("070702".utf8)
    }

    private func end(ofArchiveAt start: UInt64) throws(BootError) -> UInt64 {
        var offset = start
        while true {
            let header = try file.slice(at: offset, size: Self.headerSize, "a header of the cpio archive")
            guard isEntry(at: offset) else {
                throw file.notFormat(
                    "a cpio archive", "the entry's magic at \(hexText(offset))",
                    found: "\"\(String(decoding: header.prefix(6), as: UTF8.self))\"", expected: "\"070701\"")
            }
            let fileSize = try field(6, of: header, at: offset)
            let nameSize = try field(11, of: header, at: offset)
            let name = try file.slice(at: offset + Self.headerSize, size: nameSize, "a name in the cpio archive")
            let data = Self.aligned(offset + Self.headerSize + nameSize)
            if name.dropLast().elementsEqual(Self.trailer) { return data }
            let path = String(decoding: name.dropLast(), as: UTF8.self)
            _ = try file.slice(at: data, size: fileSize, "\"\(path)\" of the cpio archive")
            offset = Self.aligned(data + fileSize)
        }
    }

    /// The field of a number, eight hexadecimal digits each, behind the magic.
    private func field(_ number: Int, of header: ArraySlice<UInt8>, at offset: UInt64) throws(BootError) -> UInt64 {
        let start = header.startIndex + 6 + number * 8
        let text = String(decoding: header[start..<start + 8], as: UTF8.self)
        guard text.utf8.allSatisfy({ $0 != UInt8(ascii: "+") }), let value = UInt64(text, radix: 16) else {
            throw file.notFormat(
                "a cpio archive", "a number in the header at \(hexText(offset))", found: "\"\(text)\"",
                expected: "eight hexadecimal digits")
        }
        return value
    }

    private static func aligned(_ offset: UInt64) -> UInt64 { (offset + 3) & ~3 }
}
