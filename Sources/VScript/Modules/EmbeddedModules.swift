// Written by scripts/stdlib from stdlib/*.vscript: change those.

/// The texts of the modules that are written in vscript.
enum EmbeddedModules {
    static let sources: [(name: String, text: String)] = [
        (
            "args",
            ##"""
            /// The arguments that follow `--` on the command line: `vscript FILE -- --name value --flag`.
            import host.args as host
            import host.prelude as prelude
            import time

            /// All of them, as they came.
            let all = host.all

            /// The text of `--name text` or `--name=text`.
            fn string(name, default = .required) { _option(name) ?? _fallback(name, default) }

            /// The whole number of `--name number`.
            fn int(name, default = .required) { _converted(name, default, "a whole number", prelude.int) }

            /// The number of `--name number`.
            fn float(name, default = .required) { _converted(name, default, "a number", prelude.float) }

            /// The duration of `--name duration`, such as `--within 2s`.
            fn duration(name, default = .required) { _converted(name, default, "a duration", time.parse) }

            /// Whether `--name` was given.
            fn flag(name) { all().contains("--\(name)") }

            fn _option(name) {
              let given = all()
              let joined = given.filter(fn(argument) { argument.hasPrefix("--\(name)=") })
              if !joined.isEmpty { return joined.last[name.count + 3 ..< joined.last.count] }
              var position = nil
              for i, argument in given { if argument == "--\(name)" { position = i } }
              if position == nil { return nil }
              if position + 1 == given.count { throw "`--\(name)` needs a value after it" }
              given[position + 1]
            }

            fn _fallback(name, default) {
              if default == .required { throw "the script needs `--\(name)`: arguments follow `--` on the command line" }
              default
            }

            fn _converted(name, default, what, convert) {
              let text = _option(name)
              if text == nil { return _fallback(name, default) }
              try { convert(text) } catch { throw "`--\(name) \(text)` is not \(what)" }
            }
            """##
        ),
        (
            "csv",
            ##"""
            /// Comma-separated values as RFC 4180 has them.
            import table

            /// The rows of a text: maps by the names in the first line, or with `header: false` lists.
            fn parse(text, header = true, separator = ",") {
              let mark = _mark(separator)
              let bytes = text.bytes
              let count = bytes.count
              let rows = []
              var row = []
              var at = 0
              while at < count {
                var field = ""
                if bytes[at] == '"' {
                  let line = rows.count + 1
                  at += 1
                  var start = at
                  while true {
                    if at >= count { throw "row \(line): a quoted field does not end" }
                    if bytes[at] == '"' {
                      field += bytes[start..<at].text
                      at += 1
                      // Two quotes stand for one.
                      if at >= count || bytes[at] != '"' { break }
                      start = at
                    }
                    at += 1
                  }
                  if at < count && bytes[at] != mark && bytes[at] != '\n' && bytes[at] != '\r' {
                    throw "row \(line): something follows a quoted field"
                  }
                } else {
                  let start = at
                  while at < count && bytes[at] != mark && bytes[at] != '\n' && bytes[at] != '\r' { at += 1 }
                  field = bytes[start..<at].text
                }
                row.append(field)
                if at < count && bytes[at] == mark {
                  at += 1
                  // The last field of the text is empty.
                  if at == count { row.append("") }
                  if at < count { continue }
                }
                if at < count && bytes[at] == '\r' { at += 1 }
                if at < count && bytes[at] == '\n' { at += 1 }
                rows.append(row)
                row = []
              }
              if !header { return rows }
              if rows.isEmpty { return [] }
              let names = rows[0]
              let seen = [:]
              for name in names {
                if seen.has(name) { throw "row 1: the name `\(name)` stands twice; `header: false` gives lists" }
                seen[name] = true
              }
              let all = rows[1..<rows.count]
              for i, fields in all {
                if fields.count > names.count { throw "row \(i + 2): \(fields.count) fields are more than the \(names.count) names" }
              }
              all.map(fn(fields) {
                let named = [:]
                for i, name in names { named[name] = if i < fields.count { fields[i] } else { "" } }
                named
              })
            }

            /// The text of a list of maps, with the names of their keys in the first line, or of a list of lists.
            fn text(rows, columns = nil, separator = ",") {
              _mark(separator)
              if rows.isEmpty { return "" }
              let lines = []
              if type(rows[0]) == "map" {
                let names = columns ?? table.columns(rows)
                lines.append(names)
                for row in rows { lines.append(names.map(fn(name) { row[name] })) }
              } else {
                if columns != nil { lines.append(columns) }
                for row in rows { lines.append(row) }
              }
              lines.map(fn(line) { line.map(fn(value) { _field(value, separator) }).join(separator) + "\r\n" }).join()
            }

            fn _mark(separator) {
              if separator.bytes.count != 1 || "\"\r\n".contains(separator) { throw "a separator is one character of ASCII" }
              separator.bytes[0]
            }

            fn _field(value, separator) {
              if value == nil { return "" }
              let text = if type(value) == "symbol" { value.name } else { string(value) }
              let isPlain = !text.contains(separator) && !text.contains("\"") && !text.contains("\n") && !text.contains("\r")
              if isPlain { text } else { "\"" + text.replace("\"", by: "\"\"") + "\"" }
            }
            """##
        ),
        (
            "file",
            ##"""
            /// Files of the host, inside the directories that the script may use; writing makes the folders that a path lacks.
            import csv as _csv
            import host.file as host
            import json as _json

            /// The text of a file; what is not UTF-8 becomes U+FFFD.
            let text = host.text
            /// The bytes of a file.
            let bytes = host.bytes
            /// Whether there is a file that can be read.
            let exists = host.exists
            /// Writes a text or bytes to a file, replacing what it held.
            let write = host.write

            /// The lines of a file, without their breaks.
            fn lines(path) { text(path).lines }

            /// Writes a value to a file as JSON, on one line or with `indent` on several.
            fn json(path, value, indent = 0) { write(path, _json.text(value, indent: indent) + "\n") }

            /// Writes a list of maps to a file as CSV, with the keys of all in the first line.
            fn csv(path, rows) { write(path, _csv.text(rows)) }
            """##
        ),
        (
            "json",
            ##"""
            /// JSON, read and written.
            import host.json as host

            let _depthLimit = 64

            /// JSON of a value; with `indent` a line for each item, so many blanks further in at each level.
            fn text(value, indent = 0) {
              if indent == 0 { host.text(value) } else { _lines(value, "\n", " ".repeated(indent)) }
            }

            fn _lines(value, newline, step) {
              let inner = newline + step
              if type(value) == "list" && !value.isEmpty {
                return "[" + inner + value.map(fn(item) { _lines(item, inner, step) }).join("," + inner) + newline + "]"
              }
              if type(value) == "map" && !value.isEmpty {
                let members = []
                for key, item in value { members.append(host.text(string(key)) + ": " + _lines(item, inner, step)) }
                return "{" + inner + members.join("," + inner) + newline + "}"
              }
              host.text(value)
            }

            /// The value of a text of JSON: objects become maps, arrays lists, `null` nil.
            fn parse(text) {
              // Bytes, since what matters to JSON is ASCII and indexing them takes the same time everywhere.
              let bytes = text.bytes
              let count = bytes.count
              var at = 0

              fn fail(what) {
                let before = bytes[0..<min(at, count)].text
                let lines = before.split("\n")
                throw "malformed JSON at line \(lines.count), column \(lines.last.count + 1): \(what)"
              }

              fn skipSpace() {
                while at < count && (bytes[at] == ' ' || bytes[at] == '\n' || bytes[at] == '\r' || bytes[at] == '\t') { at += 1 }
              }

              fn here() { if at < count { bytes[at] } else { 0 } }

              fn word(name, value) {
                if at + name.count > count || bytes[at ..+ name.count].text != name { fail("no value begins like this") }
                at += name.count
                value
              }

              fn digits() {
                let start = at
                while here() >= '0' && here() <= '9' { at += 1 }
                if at == start { fail("a digit is missing") }
              }

              fn number() {
                let start = at
                var isWhole = true
                if here() == '-' { at += 1 }
                if here() == '0' { at += 1 } else { digits() }
                if here() == '.' {
                  isWhole = false
                  at += 1
                  digits()
                }
                if here() == 'e' || here() == 'E' {
                  isWhole = false
                  at += 1
                  if here() == '+' || here() == '-' { at += 1 }
                  digits()
                }
                let literal = bytes[start..<at].text
                // What no int holds is a float, as it is everywhere else.
                if isWhole { try { int(literal) } catch { float(literal) } } else { float(literal) }
              }

              fn unit() {
                var value = 0
                for i in 0..<4 {
                  let c = here()
                  let digit = if c >= '0' && c <= '9' { c - '0' } else if c >= 'a' && c <= 'f' { c - 'a' + 10 } else {
                    if c >= 'A' && c <= 'F' { c - 'A' + 10 } else { fail("`\\u` needs four hexadecimal digits") }
                  }
                  value = value << 4 | digit
                  at += 1
                }
                value
              }

              fn escaped() {
                let c = here()
                at += 1
                match c {
                  case '"', '\\', '/' => c.character
                  case 'b' => "\u{8}"
                  case 'f' => "\u{C}"
                  case 'n' => "\n"
                  case 'r' => "\r"
                  case 't' => "\t"
                  case 'u' => {
                    let first = unit()
                    if first < 0xD800 || first > 0xDFFF { return first.character }
                    if first > 0xDBFF || here() != '\\' { fail("half a surrogate pair") }
                    at += 1
                    if here() != 'u' { fail("half a surrogate pair") }
                    at += 1
                    let second = unit()
                    if second < 0xDC00 || second > 0xDFFF { fail("half a surrogate pair") }
                    ((first & 0x3FF) << 10 + (second & 0x3FF) + 0x1_0000).character
                  }
                  else => {
                    at -= 1
                    fail("unknown escape")
                  }
                }
              }

              fn quoted() {
                at += 1
                var parts = nil
                var start = at
                while true {
                  let c = here()
                  if at >= count { fail("the string does not end") }
                  if c < ' ' { fail("a control character in a string") }
                  if c == '"' { break }
                  at += 1
                  if c == '\\' {
                    if parts == nil { parts = [] }
                    parts.append(bytes[start ..< at - 1].text)
                    parts.append(escaped())
                    start = at
                  }
                }
                let last = bytes[start..<at].text
                at += 1
                if parts == nil { last } else { parts.join() + last }
              }

              fn items(depth) {
                let result = []
                at += 1
                skipSpace()
                if here() == ']' {
                  at += 1
                  return result
                }
                while true {
                  result.append(value(depth + 1))
                  let c = here()
                  if c != ',' && c != ']' { fail("`,` or `]` is missing") }
                  at += 1
                  if c == ']' { return result }
                }
              }

              fn members(depth) {
                let result = [:]
                at += 1
                skipSpace()
                if here() == '}' {
                  at += 1
                  return result
                }
                while true {
                  skipSpace()
                  if here() != '"' { fail("a key is a string") }
                  let key = quoted()
                  skipSpace()
                  if here() != ':' { fail("`:` is missing") }
                  at += 1
                  result[key] = value(depth + 1)
                  let c = here()
                  if c != ',' && c != '}' { fail("`,` or `}` is missing") }
                  at += 1
                  if c == '}' { return result }
                }
              }

              fn value(depth) {
                if depth > _depthLimit { fail("it is nested more than \(_depthLimit) deep") }
                skipSpace()
                let result = match here() {
                  case '{' => members(depth)
                  case '[' => items(depth)
                  case '"' => quoted()
                  case 't' => word("true", true)
                  case 'f' => word("false", false)
                  case 'n' => word("null", nil)
                  case '-', '0'...'9' => number()
                  else => fail("a value is missing")
                }
                skipSpace()
                result
              }

              let result = value(0)
              if at < count { fail("something follows the value") }
              result
            }
            """##
        ),
        (
            "math",
            ##"""
            /// Functions of numbers: of floats as IEEE 754 has them, of ints exactly.
            import host.math as host

            /// The ratio of a circle's circumference to its diameter.
            let pi = 3.141592653589793
            /// The base of the natural logarithms.
            let e = 2.718281828459045
            /// The float above all others.
            let infinity = 1e308 * 10.0
            /// The float that is not a number.
            let nan = infinity - infinity

            /// The square root.
            let sqrt = host.sqrt
            /// The cube root.
            let cbrt = host.cbrt
            /// The exponential function.
            let exp = host.exp
            /// The logarithm to base 2.
            let log2 = host.log2
            /// The logarithm to base 10.
            let log10 = host.log10
            /// The sine of an angle in radians.
            let sin = host.sin
            /// The cosine of an angle in radians.
            let cos = host.cos
            /// The tangent of an angle in radians.
            let tan = host.tan
            /// The angle between -pi/2 and pi/2 that has a sine.
            let asin = host.asin
            /// The angle between 0 and pi that has a cosine.
            let acos = host.acos
            /// The angle between -pi/2 and pi/2 that has a tangent.
            let atan = host.atan
            /// The angle between -pi and pi of the point (x, y), from the positive x axis.
            let atan2 = host.atan2
            /// The distance of the point (x, y) from the origin.
            let hypot = host.hypot

            /// The natural logarithm, or that to another base.
            fn log(x, base = nil) { if base == nil { host.log(x) } else { host.log(x) / host.log(base) } }

            /// A power: exact if both are ints and the exponent is not negative.
            fn pow(base, exponent) {
              if type(base) != "int" || type(exponent) != "int" || exponent < 0 { return host.pow(base, exponent) }
              var result = 1
              var factor = base
              var left = exponent
              while left > 0 {
                if left % 2 == 1 { result *= factor }
                left /= 2
                // The square that is not needed may be too large.
                if left > 0 { factor *= factor }
              }
              result
            }

            /// The magnitude of a number or duration.
            fn abs(x) { x.abs }

            /// -1, 0 or 1, as a number or duration is below, at or above 0.
            fn sign(x) {
              let zero = x - x
              if x < zero { -1 } else if x > zero { 1 } else { 0 }
            }

            /// The value between two others that is nearest to a value.
            fn clamp(x, low, high) { if x < low { low } else if x > high { high } else { x } }

            /// The next lower whole number.
            fn floor(x) { if type(x) == "int" { x } else { x.floor } }

            /// The next higher whole number.
            fn ceil(x) { if type(x) == "int" { x } else { x.ceil } }

            /// The nearest whole number, halves away from 0; with `digits`, the nearest float with so many after the point.
            fn round(x, digits = nil) {
              if digits != nil {
                let scale = host.pow(10, digits)
                let scaled = x * scale
                // Beyond 2⁵³ every float is whole already.
                return if scaled.abs < 9e15 { scaled.rounded / scale } else { float(x) }
              }
              if type(x) == "int" { x } else { x.rounded }
            }

            /// The remainder that has the divisor's sign.
            fn mod(a, b) {
              let rest = a % b
              let zero = b - b
              if rest != zero && (rest < zero) != (b < zero) { rest + b } else { rest }
            }

            /// The greatest int that divides both.
            fn gcd(a, b) {
              var x = a.abs
              var y = b.abs
              while y != 0 {
                let rest = x % y
                x = y
                y = rest
              }
              x
            }

            /// The least int that both divide.
            fn lcm(a, b) { if a == 0 || b == 0 { 0 } else { (a / gcd(a, b) * b).abs } }

            /// The whole part of an int's square root, exactly.
            fn isqrt(n) {
              if n < 0 { throw "\(n) has no square root" }
              if n == 0 { return 0 }
              var root = int(host.sqrt(n))
              while root > n / root { root -= 1 }
              while root + 1 <= n / (root + 1) { root += 1 }
              root
            }

            /// How many bits an int that is not negative takes.
            fn bitWidth(n) {
              if n < 0 { throw "\(n) is negative" }
              var width = 0
              while width < 64 && n >> width != 0 { width += 1 }
              width
            }

            /// Whether an int is a power of 2.
            fn isPowerOf2(n) { n > 0 && n.setBits == 1 }

            /// The greatest multiple of an int that is not above a number.
            fn alignDown(n, to) { n - mod(n, to) }

            /// The least multiple of an int that is not below a number.
            fn alignUp(n, to) { alignDown(n + (to - 1), to) }

            /// The arithmetic mean of numbers or durations.
            fn mean(values) {
              if values.isEmpty { throw "there are no values" }
              values.sum / float(values.count)
            }

            /// The value in the middle, or the mean of the two there.
            fn median(values) { percentile(values, 50) }

            /// The value that so many per cent of the values are below, between two values in proportion.
            fn percentile(values, percent) {
              if values.isEmpty { throw "there are no values" }
              if percent < 0 || percent > 100 { throw "\(percent) is not between 0 and 100" }
              let sorted = values.sorted()
              let position = percent / 100.0 * (sorted.count - 1)
              let below = position.floor
              let fraction = position - below
              if fraction == 0.0 { return sorted[below] }
              sorted[below] + (sorted[below + 1] - sorted[below]) * fraction
            }

            /// The variance of numbers that are a sample.
            fn variance(values) {
              if values.count < 2 { throw "a variance needs two values" }
              let middle = mean(values)
              values.map(fn(x) { (x - middle) * (x - middle) }).sum / float(values.count - 1)
            }

            /// The standard deviation of numbers that are a sample.
            fn deviation(values) { host.sqrt(variance(values)) }
            """##
        ),
        (
            "random",
            ##"""
            /// Random numbers that follow from a seed: the same script draws the same ones on every machine.
            import math

            /// A generator with `bits() int(range) float() bool(chance) normal(mean, deviation) bytes(count) pick(list)
            /// shuffled(list) sample(list, count) fork()`.
            fn seeded(seed) {
              if type(seed) != "int" { throw "a seed is an int, not \(type(seed))" }
              var state = seed.unsigned

              // SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
              fn bits() {
                state = state &+ 0x9E37_79B9_7F4A_7C15
                var z = state
                z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
                z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
                z ^ z >> 31
              }

              fn whole(range) {
                let count = range.count
                if count == 0 { throw "the range is empty" }
                // The lowest 2⁶⁴ mod count patterns would make some numbers likelier than others.
                let excess = (0 &- count) % count
                var pattern = bits()
                while pattern < excess { pattern = bits() }
                range.first + pattern % count
              }

              fn unit() { (bits() >> 11) / 9_007_199_254_740_992.0 }

              fn normal(mean = 0.0, deviation = 1.0) {
                let radius = math.sqrt(-2.0 * math.log(1.0 - unit()))
                mean + deviation * (radius * math.cos(2.0 * math.pi * unit()))
              }

              fn pick(list) {
                if list.isEmpty { throw "there is nothing to pick from" }
                list[whole(0..<list.count)]
              }

              fn sample(list, count) {
                if count < 0 || count > list.count { throw "\(count) of \(list.count) items cannot be drawn" }
                let items = list + []
                for i in 0..<count {
                  let j = whole(i..<items.count)
                  let item = items[i]
                  items[i] = items[j]
                  items[j] = item
                }
                items[0..<count]
              }

              [
                bits: bits,
                int: whole,
                float: unit,
                bool: fn(chance = 0.5) { unit() < chance },
                normal: normal,
                bytes: fn(count) { bytes((0..<count).map(fn(i) { bits() & 0xFF })) },
                pick: pick,
                shuffled: fn(list) { sample(list, list.count) },
                sample: sample,
                fork: fn() { seeded(bits()) },
              ]
            }
            """##
        ),
        (
            "regex",
            ##"""
            /// Regular expressions beyond the members of `re"…"`: made of texts, with positions, replacing and splitting.
            import host.regex as host

            /// The pattern that a text spells, as `re"…"` would.
            let compile = host.compile

            /// A text whose pattern matches exactly this text.
            fn escape(text) {
              let special = "\\^$.|?*+()[]{}"
              let parts = []
              for c in text { parts.append(if special.contains(c) { "\\" + c } else { c }) }
              parts.join()
            }

            /// Every occurrence, none over another: a map with `text`, `start`, `end` and `groups`.
            fn all(pattern, text) { host.occurrences(pattern, text).map(_occurrence) }

            /// The first occurrence as a map with `text`, `start`, `end` and `groups`, or nil.
            fn first(pattern, text) {
              let found = host.occurrences(pattern, text, 1)
              if found.isEmpty { nil } else { _occurrence(found[0]) }
            }

            /// Whether a pattern matches the whole of a text.
            fn matchesWhole(pattern, text) { compile("^(?:\(pattern.pattern))$").matches(text) }

            /// The text with every occurrence replaced by a text, in which `$0` is what was found and `$1` its first group, or by
            /// what a function makes of the occurrence.
            fn replace(pattern, text, by) {
              let parts = []
              var end = 0
              let template = if type(by) == "string" { _template(by) } else { nil }
              for found in host.occurrences(pattern, text) {
                parts.append(found.before)
                let here = _occurrence(found)
                parts.append(if template == nil { by(here) } else { _fill(template, here) })
                end = here.end
              }
              parts.append(text[end..<text.count])
              parts.join()
            }

            /// The parts of a text between the occurrences.
            fn split(pattern, text) {
              let parts = []
              var end = 0
              for found in host.occurrences(pattern, text) {
                parts.append(found.before)
                end = found.end
              }
              parts.append(text[end..<text.count])
              parts
            }

            fn _occurrence(found) { [text: found.text, start: found.start, end: found.end, groups: found.groups] }

            // Texts, and the numbers of groups between them.
            fn _template(by) {
              let parts = []
              var end = 0
              for found in host.occurrences(re"\$(\d|\$)", by) {
                parts.append(found.before)
                parts.append(if found.groups[0] == "$" { "$" } else { int(found.groups[0]) })
                end = found.end
              }
              parts.append(by[end..<by.count])
              parts
            }

            fn _fill(template, here) {
              template.map(fn(part) {
                if type(part) == "string" { part } else if part == 0 { here.text } else {
                  if part > here.groups.count { throw "the pattern has no group \(part)" }
                  here.groups[part - 1] ?? ""
                }
              }).join()
            }
            """##
        ),
        (
            "table",
            ##"""
            /// Tables of rows, which are maps: columns are their keys.

            /// The names of the columns, in the order in which the rows bring them.
            fn columns(rows) {
              let names = [:]
              for row in rows { for key, value in row { names[key] = true } }
              names.keys
            }

            /// The rows as aligned text under a line of names; numbers and durations stand on the right.
            fn text(rows, columns = nil, sort = nil, descending = false) {
              let lines = _cells(rows, columns, sort, descending)
              if lines.isEmpty { return "" }
              let widths = _widths(lines.map(fn(line) { line.cells }))
              let rule = widths.map(fn(width) { "─".repeated(width) }).join("  ")
              let texts = lines.map(fn(line) { _line(line, widths, "  ") })
              ([texts[0], rule] + texts[1..<texts.count]).map(fn(line) { line + "\n" }).join()
            }

            /// Prints the rows as aligned text.
            fn show(rows, columns = nil, sort = nil, descending = false) {
              let lines = text(rows, columns: columns, sort: sort, descending: descending)
              if lines != "" { print(lines[0 ..< lines.count - 1]) }
            }

            /// The rows as a table of Markdown.
            fn markdown(rows, columns = nil, sort = nil, descending = false) {
              let lines = _cells(rows, columns, sort, descending)
              if lines.isEmpty { return "" }
              for line in lines { line.cells = line.cells.map(fn(cell) { cell.replace("|", by: "\\|") }) }
              let widths = _widths(lines.map(fn(line) { line.cells })).map(fn(width) { max(width, 3) })
              let isRight = lines.last.isRight
              let rule = "| " + (0..<widths.count).map(fn(i) {
                if isRight[i] { "-".repeated(widths[i] - 1) + ":" } else { "-".repeated(widths[i]) }
              }).join(" | ") + " |"
              let texts = lines.map(fn(line) { "| " + _padded(line, widths).join(" | ") + " |" })
              ([texts[0], rule] + texts[1..<texts.count]).map(fn(line) { line + "\n" }).join()
            }

            /// The rows in the order of a column; those without it come last.
            fn sorted(rows, by, descending = false) {
              let with = rows.filter(fn(row) { row[by] != nil }).sorted(fn(row) { row[by] })
              (if descending { with.reversed } else { with }) + rows.filter(fn(row) { row[by] == nil })
            }

            /// The rows by what a column holds: a map of lists.
            fn group(rows, by) {
              let groups = [:]
              for row in rows {
                let key = row[by]
                if !groups.has(key) { groups[key] = [] }
                groups[key].append(row)
              }
              groups
            }

            // Lines of texts, the names first, with whether each stands on the right.
            fn _cells(rows, columns, sort, descending) {
              if rows.isEmpty { return [] }
              let names = columns ?? _names(rows)
              let ordered = if sort == nil { rows } else { sorted(rows, sort, descending: descending) }
              let isRight = names.map(fn(name) {
                let values = rows.map(fn(row) { row[name] }).filter(fn(value) { value != nil })
                !values.isEmpty && values.all(_isNumber)
              })
              let lines = [[cells: names.map(string), isRight: isRight]]
              for row in ordered { lines.append([cells: names.map(fn(name) { _text(row[name]) }), isRight: isRight]) }
              lines
            }

            fn _names(rows) { columns(rows) }

            fn _isNumber(value) { type(value) == "int" || type(value) == "float" || type(value) == "duration" }

            fn _text(value) { if value == nil { "" } else { string(value).replace("\n", by: " ") } }

            fn _widths(lines) { (0..<lines[0].count).map(fn(i) { lines.map(fn(cells) { cells[i].count }).max }) }

            fn _padded(line, widths) {
              (0..<widths.count).map(fn(i) {
                let gap = " ".repeated(widths[i] - line.cells[i].count)
                if line.isRight[i] { gap + line.cells[i] } else { line.cells[i] + gap }
              })
            }

            fn _line(line, widths, between) {
              let text = _padded(line, widths).join(between)
              // Blanks at the end of a line are of no use.
              var end = text.count
              while end > 0 && text[end - 1] == " " { end -= 1 }
              text[0..<end]
            }
            """##
        ),
        (
            "time",
            ##"""
            /// Durations and dates. The clock is `guest.time`; that of the host is out of reach.

            let _units = [ns: 1 ns, us: 1 us, ms: 1 ms, s: 1 s, min: 1 min, h: 1 h]
            let _secondsPerDay = 86_400

            /// The duration that a text such as `1.5 ms` or `-2 min` names.
            fn parse(text) {
              let found = re"^\s*(-?)(\d+)(?:\.(\d+))?\s*(ns|us|ms|s|min|h)\s*$".find(text)
              if found == nil { throw "`\(text)` is not a duration: that is a number with one of \(_units.keys.join(", "))" }
              let unit = _units[found[4]]
              let fraction = float("0.\(found[3] ?? 0)") * unit.nanoseconds
              let magnitude = unit * int(found[2]) + 1 ns * fraction.rounded
              if found[1] == "-" { -magnitude } else { magnitude }
            }

            /// A duration in a unit such as `"ms"`, with so many digits after the point.
            fn text(duration, unit = "s", digits = 3) {
              if !_units.has(unit) { throw "`\(unit)` is not a unit: that is one of \(_units.keys.join(", "))" }
              if digits < 0 || digits > 9 { throw "a duration has 0 to 9 digits after the point, not \(digits)" }
              var scale = 1
              for i in 0..<digits { scale *= 10 }
              let count = (duration / _units[unit] * scale).rounded
              let whole = (count / scale).abs
              let rest = "\((count % scale).abs)"
              let sign = if count < 0 { "-" } else { "" }
              let fraction = if digits == 0 { "" } else { "." + "0".repeated(digits - rest.count) + rest }
              "\(sign)\(whole)\(fraction) \(unit)"
            }

            /// How often something happens in a second, if so often in a duration.
            fn rate(count, duration) {
              if duration <= 0 s { throw "\(duration) is no time to count in" }
              count / duration.seconds
            }

            /// A watch of a guest's time: `elapsed()` since it was made, `lap()` since the lap before.
            fn stopwatch(guest) {
              let start = guest.time
              var last = start
              [
                elapsed: fn() { guest.time - start },
                lap: fn() {
                  let lap = guest.time - last
                  last = guest.time
                  lap
                },
              ]
            }

            /// The seconds from 1970 to a date of the Gregorian calendar in UTC, as clocks of guests count them.
            fn unix(year, month, day, hour = 0, minute = 0, second = 0) {
              if month < 1 || month > 12 { throw "there is no month \(month)" }
              // Years that begin in March end with the leap day.
              let y = if month <= 2 { year - 1 } else { year }
              let era = _floorDivide(y, 400)
              let yearOfEra = y - era * 400
              let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
              let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
              (era * 146_097 + dayOfEra - 719_468) * _secondsPerDay + hour * 3_600 + minute * 60 + second
            }

            /// The date of a number of seconds since 1970: `year month day hour minute second weekday`, 0 for Sunday.
            fn date(seconds) {
              let days = _floorDivide(seconds, _secondsPerDay)
              let rest = seconds - days * _secondsPerDay
              let shifted = days + 719_468
              let era = _floorDivide(shifted, 146_097)
              let dayOfEra = shifted - era * 146_097
              let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
              let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
              let march = (5 * dayOfYear + 2) / 153
              let month = if march < 10 { march + 3 } else { march - 9 }
              [
                year: yearOfEra + era * 400 + (if month <= 2 { 1 } else { 0 }),
                month: month,
                day: dayOfYear - (153 * march + 2) / 5 + 1,
                hour: rest / 3_600,
                minute: rest / 60 % 60,
                second: rest % 60,
                weekday: (days % 7 + 11) % 7,
              ]
            }

            /// The date of a number of seconds since 1970 as ISO 8601 writes it.
            fn iso(seconds) {
              let d = date(seconds)
              "\(d.year:04)-\(d.month:02)-\(d.day:02)T\(d.hour:02):\(d.minute:02):\(d.second:02)Z"
            }

            fn _floorDivide(a, b) { if a < 0 { (a - b + 1) / b } else { a / b } }
            """##
        ),
        (
            "trace",
            ##"""
            /// Traces for Perfetto and Chrome, and what the rows of `guest.transitions` amount to.
            import file
            import json
            import table

            /// A trace with `slice(name, start, duration, track) instant(name, at, track) counter(name, at, value) text()
            /// save(path)`.
            fn new(process = "vscript") {
              let events = [[name: "process_name", ph: "M", pid: 1, args: [name: process]]]
              let tracks = [:]

              fn thread(track) {
                if !tracks.has(track) {
                  tracks[track] = tracks.count + 1
                  events.append([name: "thread_name", ph: "M", pid: 1, tid: tracks[track], args: [name: string(track)]])
                }
                tracks[track]
              }

              fn text() { json.text([displayTimeUnit: "ns", traceEvents: events]) }

              [
                slice: fn(name, start, duration, track = "main", args = [:]) {
                  let tid = thread(track)
                  events.append([
                    name: name, ph: "X", pid: 1, tid: tid, ts: start.microseconds, dur: duration.microseconds, args: args,
                  ])
                },
                instant: fn(name, at, track = "main", args = [:]) {
                  let tid = thread(track)
                  events.append([name: name, ph: "i", s: "t", pid: 1, tid: tid, ts: at.microseconds, args: args])
                },
                counter: fn(name, at, value) {
                  events.append([name: name, ph: "C", pid: 1, ts: at.microseconds, args: [value: value]])
                },
                text: text,
                save: fn(path) { file.write(path, text()) },
              ]
            }

            /// How often each change of level occurs in rows of `guest.transitions`: `from to cause count`, the commonest first.
            fn counts(rows) {
              let counted = [:]
              for row in rows {
                let key = "\(row.from) \(row.to) \(row.cause)"
                let entry = counted[key]
                if entry == nil {
                  counted[key] = [from: row.from, to: row.to, cause: row.cause, count: 1]
                } else {
                  entry.count += 1
                }
              }
              table.sorted(counted.values, "count", descending: true)
            }

            /// How long the guest was at each level between the first and the last of the rows: `level time instructions`.
            fn residence(rows) {
              let levels = [:]
              var last = nil
              for row in rows {
                if last != nil {
                  let level = last.to
                  if !levels.has(level) { levels[level] = [level: level, time: 0 s, instructions: 0] }
                  levels[level].time += row.time - last.time
                  levels[level].instructions += row.instructions - last.instructions
                }
                last = row
              }
              levels.values
            }
            """##
        ),
    ]
}
