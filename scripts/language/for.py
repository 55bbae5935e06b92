def run():
    s = 0
    for i in range(50_000_000):
        s += i % 7
    return s
print(run())
