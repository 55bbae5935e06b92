def run():
    parts = []
    for i in range(1_000_000):
        parts.append(f"item {i}, ")
    return "".join(parts)
print(len(run()))
