def run():
    m = {}
    for i in range(1_000_000):
        m[i * 7919 % 1_000_003] = i
    for i in range(200_000):
        m[f"k{i % 50_000}"] = i
    s = 0
    for i in range(1_000_003):
        s += m.get(i, 0)
    for i in range(200_000):
        s += m[f"k{i % 50_000}"]
    print(len(m), s)
run()
