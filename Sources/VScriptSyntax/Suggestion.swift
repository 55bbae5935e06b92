/// Finds the name that a misspelt one was probably meant to be.
package enum Suggestion {
    /// The candidate within edit distance 2 that is closest, or nil; a short name must be closer.
    package static func closest(to name: String, in candidates: some Sequence<String>) -> String? {
        let limit = name.count < 5 ? 1 : 2
        var best: (distance: Int, name: String)?
        for candidate in candidates where candidate != name && abs(candidate.utf8.count - name.utf8.count) <= limit {
            let distance = distance(Array(name.lowercased().utf8), Array(candidate.lowercased().utf8))
            if distance <= limit, distance < candidate.utf8.count, distance < best?.distance ?? .max {
                best = (distance, candidate)
            }
        }
        return best?.name
    }

    /// Edits (insertion, deletion, replacement, exchange of neighbours) from one text to the other.
    private static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var beforePrevious: [Int] = []
        var previous = Array(0...right.count)
        for row in 0..<left.count {
            var current = [row + 1]
            for column in 0..<right.count {
                let isSame = left[row] == right[column]
                var cost = min(previous[column] + (isSame ? 0 : 1), previous[column + 1] + 1, current[column] + 1)
                if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                    cost = min(cost, beforePrevious[column - 1] + 1)
                }
                current.append(cost)
            }
            beforePrevious = previous
            previous = current
        }
        return previous[right.count]
    }
}
